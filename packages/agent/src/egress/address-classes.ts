/**
 * What an IPv4 address leads to, as far as calls that leave the mesh go: the internet, something near that must be named to be
 * reached, or what is never reached. By IANA's registries (iana-ipv4-special-registry, multicast-addresses) and this host's own.
 */
import { type AddressRange, CONTROL_RANGE, formatRange, inRange, parseAddress, parseRange } from '@weft/proto';

/** `near`: only by a range that names it. `never`: not even then. */
export type Reach = 'internet' | 'near' | 'never';

export interface AddressClass {
  readonly reach: Reach;
  /** What it is, such as `a private network (RFC 1918)`. */
  readonly what: string;
}

export interface ClassedRange extends AddressClass {
  readonly range: AddressRange;
}

const INTERNET: AddressClass = { reach: 'internet', what: 'the internet' };

const TABLE: readonly (readonly [cidrs: string, reach: Exclude<Reach, 'internet'>, what: string])[] = [
  ['0.0.0.0/8', 'never', 'this host itself (RFC 1122)'],
  ['127.0.0.0/8', 'never', 'loopback, and so this host itself (RFC 1122)'],
  ['169.254.0.0/16', 'never', "link-local, and clouds' metadata (RFC 3927)"],
  // Alibaba's and Azure's, at addresses that look like others'. Oracle's is in the range below.
  ['100.100.100.200/32 168.63.129.16/32', 'never', "a cloud's metadata"],
  ['192.0.0.0/24', 'never', "for protocols, the sandbox's own link among them (RFC 6890, RFC 7335)"],
  ['224.0.0.0/4', 'never', 'multicast (RFC 5771)'],
  // 255.255.255.255, broadcast (RFC 919), is its last.
  ['240.0.0.0/4', 'never', 'reserved, or broadcast (RFC 1112, RFC 919)'],
  ['10.0.0.0/8 172.16.0.0/12 192.168.0.0/16', 'near', 'a private network (RFC 1918)'],
  ['100.64.0.0/10', 'near', "a provider's own network (RFC 6598)"],
  ['192.0.2.0/24 198.51.100.0/24 203.0.113.0/24', 'near', 'for documentation (RFC 5737)'],
  ['198.18.0.0/15', 'near', 'for benchmarks (RFC 2544)'],
  ['192.88.99.0/24', 'near', 'of 6to4 relays, which are no more (RFC 7526)'],
];

/** Of all hosts, what is never reached first. */
export const SPECIAL_RANGES: readonly ClassedRange[] = TABLE.flatMap(([cidrs, reach, what]) =>
  cidrs.split(' ').map((cidr) => ({ range: rangeOf(cidr), reach, what })),
);

function rangeOf(cidr: string): AddressRange {
  const range = parseRange(cidr);
  if (range === undefined) throw new TypeError(`${cidr} is no range`);
  return range;
}

export interface Surroundings {
  /** Where this host's VIPs lie. */
  readonly vips: AddressRange;
  /** Of this host's interfaces, as node:os has them; undefined where they could not be looked at. */
  readonly interfaces: Readonly<Record<string, readonly InterfaceAddress[] | undefined>> | undefined;
}

interface InterfaceAddress {
  readonly address: string;
  readonly netmask: string;
  readonly family: string;
  readonly internal: boolean;
}

/** Of this host at this moment: what is never reached goes before what is near. */
export function rangesAround({ vips, interfaces }: Surroundings): readonly ClassedRange[] {
  const own: ClassedRange[] = [];
  const near: ClassedRange[] = [];
  for (const [name, addresses] of Object.entries(interfaces ?? {})) {
    for (const { address, netmask, family, internal } of addresses ?? []) {
      const at = parseAddress(address);
      const mask = parseAddress(netmask);
      if (family !== 'IPv4' || at === undefined) continue;
      own.push({ range: { base: at, size: 1 }, reach: 'never', what: `this host's own address, of ${name}` });
      if (internal || mask === undefined) continue;
      const size = 2 ** 32 - mask;
      if (size === 1) continue;
      const range = { base: at - (at % size), size };
      near.push({ range, reach: 'near', what: `this host's network ${formatRange(range)}, of ${name}` });
    }
  }
  const mesh = [vips, CONTROL_RANGE].map((range) => ({ range, reach: 'never' as const, what: "the mesh's services" }));
  return [...mesh, ...own, ...near, ...SPECIAL_RANGES].sort(
    (left, right) => Number(right.reach === 'never') - Number(left.reach === 'never'),
  );
}

/** By ranges of `rangesAround`. */
export function classOf(address: number, around: readonly ClassedRange[]): AddressClass {
  return around.find(({ range }) => inRange(address, range)) ?? INTERNET;
}
