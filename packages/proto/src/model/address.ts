/** The range that VIPs and source addresses are allotted in. IPv4 addresses as unsigned 32-bit numbers. */

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
