/** What a sandbox was permitted to reach outside the mesh, and the verdict on one call. */
import {
  type AddressRange,
  FormatError,
  formatAddress,
  formatRange,
  formatRulePorts,
  includesPort,
  inRange,
  type Protocol,
  parseAddress,
  parseRange,
  parseRulePorts,
  type RulePorts,
} from '@weft/proto';
import { type ClassedRange, classOf, SPECIAL_RANGES } from './address-classes.ts';

/** A range that `--egress-to` opens, on these ports of it. */
export interface OpenedRange {
  readonly range: AddressRange;
  readonly ports: RulePorts;
}

export interface EgressRights {
  /** `--egress`. */
  readonly internet: boolean;
  /** `--egress-to`. */
  readonly opened: readonly OpenedRange[];
}

/** Ranges that one sandbox may have opened. */
export const MOST_OPENED = 64;

const INTERNET_WORD = 'internet';

const ALL_PORTS: RulePorts = { protocol: 'any', first: 1, last: 65_535 };

const EXPECTED = 'takes CIDR[:PORTS], such as 192.168.1.0/24:443/tcp, 10.0.0.5:3128 or 198.51.100.0/24:8000-8099';

/** What `--egress-to` names, or what is wrong with it, as words that follow the option's name. */
export function readOpened(text: string): OpenedRange | string {
  const [cidr = '', ports, ...rest] = text.split(':');
  if (rest.length > 0) return `${EXPECTED}; only IPv4 goes out of a sandbox; found ${JSON.stringify(text)}`;
  const address = parseAddress(cidr);
  const range = address === undefined ? parseRange(cidr) : { base: address, size: 1 };
  if (range === undefined) return `${EXPECTED}, without bits beyond its prefix; found ${JSON.stringify(text)}`;
  const shut = SPECIAL_RANGES.find(
    (special) =>
      special.reach === 'never' &&
      inRange(range.base, special.range) &&
      range.base + range.size <= special.range.base + special.range.size,
  );
  if (shut !== undefined) return `cannot open ${cidr}, which is ${shut.what}; leave it out`;
  if (ports === undefined) return { range, ports: ALL_PORTS };
  try {
    return { range, ports: parseRulePorts(ports) };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return `${EXPECTED}; ${cause.message}`;
  }
}

/** As it was written. */
export function formatOpened({ range, ports }: OpenedRange): string {
  const cidr = range.size === 1 ? formatAddress(range.base) : formatRange(range);
  const all = ports.protocol === 'any' && ports.first === 1 && ports.last === 65_535;
  return all ? cidr : `${cidr}:${formatRulePorts(ports)}`;
}

/** As sandbox and agent say them to each other: `internet`, and what is opened, with commas between. */
export function writeRights({ internet, opened }: EgressRights): string {
  return [...(internet ? [INTERNET_WORD] : []), ...opened.map(formatOpened)].join(',');
}

/** Undefined for what `writeRights` does not write of rights that permit something. */
export function readRights(text: string): EgressRights | undefined {
  const words = text.split(',');
  const internet = words[0] === INTERNET_WORD;
  const opened = words.slice(internet ? 1 : 0).map(readOpened);
  if (opened.length > MOST_OPENED) return undefined;
  const read = opened.filter((each): each is OpenedRange => typeof each !== 'string');
  return read.length === opened.length ? { internet, opened: read } : undefined;
}

export interface OutsideVerdict {
  readonly allowed: boolean;
  /** In words, for records. */
  readonly reason: string;
}

/** `around`: of `rangesAround`, as of now. */
export function mayReach(
  { internet, opened }: EgressRights,
  { address, port, protocol }: { readonly address: number; readonly port: number; readonly protocol: Protocol },
  around: readonly ClassedRange[],
): OutsideVerdict {
  const { reach, what } = classOf(address, around);
  const place = formatAddress(address);
  if (reach === 'never') return { allowed: false, reason: `${place} is ${what}, which no sandbox reaches` };
  if (opened.some(({ range, ports }) => inRange(address, range) && includesPort([ports], port, protocol)))
    return { allowed: true, reason: 'opened by --egress-to' };
  if (reach === 'internet' && internet) return { allowed: true, reason: 'opened by --egress' };
  const remedy = `--egress-to ${place}:${port}/${protocol} opens it`;
  return { allowed: false, reason: `${place} is ${what}; ${reach === 'internet' ? `--egress, or ${remedy}` : remedy}` };
}
