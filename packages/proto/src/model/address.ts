/**
 * IPv4 addresses as unsigned 32-bit numbers, the range that VIPs and source addresses are allotted in, what else a host leads
 * to, and what is this machine itself. Known without Node, for the page uses the model too.
 */

export interface AddressRange {
  /** First address. */
  readonly base: number;
  /** How many addresses. */
  readonly size: number;
}

/** 127.80.0.0/12: what control allots in. */
export const CONTROL_RANGE: AddressRange = { base: 0x7f500000, size: 1 << 20 };

/** `127.80.0.5` for 0x7f500005. */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The number of a dotted quad, or undefined when it is none. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    const octet = Number(part);
    if (octet > 255) return undefined;
    address = address * 256 + octet;
  }
  return address;
}

/** Range of a CIDR such as 127.96.0.0/16, or undefined when it is none, or one with bits beyond its prefix. */
export function parseRange(cidr: string): AddressRange | undefined {
  const [text, bits, ...rest] = cidr.split('/');
  const address = parseAddress(text ?? '');
  if (address === undefined || rest.length > 0 || !/^\d{1,2}$/.test(bits ?? '')) return undefined;
  const prefix = Number(bits);
  if (prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  return address % size === 0 ? { base: address, size } : undefined;
}

/** `127.96.0.0/16`, for a range that a CIDR can say. */
export function formatRange({ base, size }: AddressRange): string {
  return `${formatAddress(base)}/${32 - Math.log2(size)}`;
}

export function inRange(address: number, { base, size }: AddressRange): boolean {
  return address >= base && address < base + size;
}

/** Whether all of it is within 127.0.0.0/8, where no packet of another host comes from or gets to. */
export function isLoopbackRange({ base }: AddressRange): boolean {
  return base >>> 24 === 127;
}

/** Where an address that control allotted lies in an agent's own range; undefined when the range is too small. */
export function shiftAddress(address: number, range: AddressRange): number | undefined {
  const offset = address - CONTROL_RANGE.base;
  return offset < range.size ? range.base + offset : undefined;
}

/**
 * What an endpoint's host leads to, however it is spelled: `127.1`, `0x7f000001` and `::ffff:7f00:1` are all 127.0.0.1.
 * `vip`: where control allots VIPs. `unusable`: no host's address, such as 0.0.0.0, multicast, a cloud's metadata, or an old form that hides another.
 * `name`: only whoever resolves it knows.
 */
export type AddressKind = 'name' | 'outside' | 'loopback' | 'link-local' | 'vip' | 'unusable';

/** The host in its one form: an IPv4 address also for one that IPv6 wraps, IPv6 shortened, a name in lower case; undefined for none. */
export function normalHost(host: string): string | undefined {
  if (!/^[A-Za-z0-9._:-]+$/.test(host)) return undefined;
  // The URL standard reads hosts as resolvers do, and writes each in one way.
  const written = URL.parse(`http://${host.includes(':') ? `[${host}]` : host}/`)?.hostname;
  if (written === undefined || written === '') return undefined;
  if (!written.startsWith('[')) return written;
  const groups = groupsOf(written.slice(1, -1));
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return mapped ? formatAddress(tail(groups)) : written.slice(1, -1);
}

/** As interfaces name it: a socket that speaks both families writes an IPv4 address as ::ffff:a.b.c.d. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/** Of a host in its one form. */
export function addressKind(host: string): AddressKind {
  if (host.includes(':')) return kindOf6(groupsOf(host));
  const address = parseAddress(host);
  if (address !== undefined) return kindOf4(address);
  return /^(?:.*\.)?localhost\.?$/.test(host) ? 'loopback' : 'name';
}

/**
 * Where clouds tell each guest its secrets, at addresses that look like any host's: Alibaba's and Azure's. Oracle's is in 192.0.0.0/24,
 * which is for protocols and no host's (RFC 6890). Of IPv6 the others' are link-local.
 */
const METADATA: ReadonlySet<number | undefined> = new Set(['100.100.100.200', '168.63.129.16'].map(parseAddress));
/** Alibaba's, Google's, Linode's, Oracle's and Scaleway's; AWS has several in fd00:ec2::/32. */
const METADATA_6: readonly (readonly number[])[] = [
  'fd00:100::100:200',
  'fd20:ce::254',
  'fd00:a9fe:a9fe::1',
  'fd00:c1::a9fe:a9fe',
  'fd00:42::42',
].map(groupsOf);

function kindOf4(address: number): AddressKind {
  if (inRange(address, CONTROL_RANGE)) return 'vip';
  if (METADATA.has(address) || address >>> 8 === 0xc00000) return 'unusable';
  const first = address >>> 24;
  if (first === 127) return 'loopback';
  if (first === 0 || first >= 224) return 'unusable';
  return address >>> 16 === 0xa9fe ? 'link-local' : 'outside';
}

function kindOf6(groups: readonly number[]): AddressKind {
  const [first = 0] = groups;
  if (groups.slice(0, 6).every((group) => group === 0)) return tail(groups) === 1 ? 'loopback' : 'unusable';
  // Translated to IPv4 on the way (RFC 6052), or carried in it (RFC 3056).
  const translated = first === 0x64 && groups[1] === 0xff9b;
  if (translated || first === 0x2002) {
    const inner = kindOf4(translated ? tail(groups) : ((groups[1] ?? 0) * 0x10000 + (groups[2] ?? 0)) >>> 0);
    return inner === 'outside' ? 'outside' : 'unusable';
  }
  if (first >= 0xfe80 && first < 0xfec0) return 'link-local';
  if (first === 0xfd00 && groups[1] === 0xec2) return 'unusable';
  if (METADATA_6.some((metadata) => metadata.every((group, at) => group === groups[at]))) return 'unusable';
  return first >= 0xff00 ? 'unusable' : 'outside';
}

/** The eight groups of an address as the URL standard writes it: without an IPv4 tail. */
export function groupsOf(address: string): number[] {
  const [head = '', rest] = address.split('::');
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const before = numbers(head);
  const after = numbers(rest ?? '');
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function tail(groups: readonly number[]): number {
  return ((groups[6] ?? 0) * 0x10000 + (groups[7] ?? 0)) >>> 0;
}

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const v4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);
/** A zone follows the address of an interface, as in fe80::1%eth0 (RFC 4007, section 11). */
const v6 = /^([0-9A-Fa-f:.]{2,45})(?:%[0-9A-Za-z.:-]+)?$/;

/** Agrees with node:net's of the same name, as the two below do. */
export function isIPv4(text: string): boolean {
  return v4.test(text);
}

export function isIPv6(text: string): boolean {
  const address = v6.exec(text)?.[1];
  if (address === undefined) return false;
  const tail = /(^|:)([^:]*\..*)$/.exec(address)?.[2];
  if (tail !== undefined && !isIPv4(tail)) return false;
  // An IPv4 tail stands for two groups (RFC 4291, section 2.2).
  const plain = tail === undefined ? address : `${address.slice(0, -tail.length)}0:0`;
  const [head = '', rest, ...more] = plain.split('::');
  if (more.length > 0) return false;
  const groups = [head, rest ?? ''].flatMap((part) => (part === '' ? [] : part.split(':')));
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return rest === undefined ? groups.length === 8 : groups.length <= 7;
}

/** 4, 6, or 0 for what is none. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return isIPv6(text) ? 6 : 0;
}

/** RFC 1918's, those between a provider and its customers (RFC 6598), and of IPv6 the unique local ones (RFC 4193). */
const PRIVATE: readonly AddressRange[] = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].flatMap(
  (cidr) => parseRange(cidr) ?? [],
);

/** Whether an address is one that many networks have, each for itself. */
export function isPrivate(host: string): boolean {
  const address = parseAddress(host);
  if (address !== undefined) return PRIVATE.some((range) => inRange(address, range));
  return isIPv6(host) && /^f[cd]/i.test(host);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Listening on every address. */
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/**
 * Whether a request with this Host header may be answered by a server that listens on `listening`; `arrived` is the address
 * that it came to, for one that listens on every address. A page of another site
 * can have its own name point at 127.0.0.1 and then read this port as its own (DNS rebinding). On loopback only loopback's
 * names are right; on another address the name that people use is not known, but an attacker who can reach it needs no such
 * trick.
 */
export function knowsHost(listening: string, header: string | undefined, arrived?: string): boolean {
  const own = normalHost(listening) ?? listening;
  const at = ANY.has(own) && arrived !== undefined ? normalHost(arrived) : own;
  if (at === undefined || !isLoopback(at)) return true;
  const name =
    header
      ?.replace(/:\d{1,5}$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase() ?? '';
  return isLoopback(name) && (name === 'localhost' || isIP(name) > 0);
}
