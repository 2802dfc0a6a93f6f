/** --vip-range: which ranges an agent's VIPs may lie in, and why not in others. */
import {
  type AddressRange,
  formatRange,
  hostInterfaces,
  inRange,
  isLoopbackRange,
  parseAddress,
  parseRange,
} from '@weft/proto';

type Interfaces = ReturnType<typeof hostInterfaces>;

/** Beside 127.0.0.0/8, those that nobody on the internet has: RFC 1918, RFC 6598 (shared) and RFC 2544 (benchmarks). */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15'];
const EXAMPLES = '127.96.0.0/12, or 100.80.0.0/12 where root has made it local';
const LOCALHOST = 0x7f000001;
/** Of 169.254.0.0/16, the upper half. */
const LINK_LOCAL = 0xa9fe;
const MIN_PREFIX = 8;
const MAX_PREFIX = 30;

/** The range, or what is wrong with it, as words that follow the option's name. */
export function readVipRange(text: string, interfaces: Interfaces = hostInterfaces()): AddressRange | string {
  const range = parseRange(text);
  if (range === undefined)
    return `takes a range such as ${EXAMPLES}, without bits beyond its prefix; found ${JSON.stringify(text)}`;
  const reason = faultOf(range, interfaces);
  return reason === undefined ? range : `must not be ${text}, ${reason}; take another, such as ${EXAMPLES}`;
}

/**
 * The network of an interface, of those that could be looked at, that shares addresses with the range; those of loopback may, for they
 * are this host's alone.
 */
export function overlappingNetwork(range: AddressRange, interfaces: Interfaces): string | undefined {
  for (const [name, addresses] of Object.entries(interfaces ?? {})) {
    for (const { address, netmask, family, internal } of addresses ?? []) {
      if (internal || family !== 'IPv4') continue;
      const network = networkOf(address, netmask);
      if (network !== undefined && overlap(range, network)) return `${formatRange(network)} of ${name}`;
    }
  }
  return undefined;
}

function faultOf(range: AddressRange, interfaces: Interfaces): string | undefined {
  const prefix = 32 - Math.log2(range.size);
  if (prefix < MIN_PREFIX) return `which is larger than a /${MIN_PREFIX}`;
  if (prefix > MAX_PREFIX) return `which is too small for services' addresses: /${MAX_PREFIX} is the least`;
  if (isLoopbackRange(range))
    return inRange(LOCALHOST, range) ? 'which must not hold 127.0.0.1: programs trust it' : undefined;
  const first = range.base >>> 24;
  if (first >= 224 && first < 240) return 'which is multicast';
  if (range.base >>> 16 === LINK_LOCAL) return "which is link-local: other hosts' addresses, and clouds' metadata";
  if (!PRIVATE.some((cidr) => holds(parseRange(cidr), range)))
    return `which is not this host's alone to use: outside 127.0.0.0/8 it must lie within ${PRIVATE.join(', ')}`;
  const taken = overlappingNetwork(range, interfaces);
  return taken === undefined ? undefined : `which overlaps the network ${taken}`;
}

function holds(outer: AddressRange | undefined, { base, size }: AddressRange): boolean {
  return outer !== undefined && inRange(base, outer) && size <= outer.size;
}

function overlap(left: AddressRange, right: AddressRange): boolean {
  return inRange(left.base, right) || inRange(right.base, left);
}

function networkOf(address: string, netmask: string): AddressRange | undefined {
  const host = parseAddress(address);
  const mask = parseAddress(netmask);
  if (host === undefined || mask === undefined) return undefined;
  const size = 2 ** 32 - mask;
  return { base: host - (host % size), size };
}
