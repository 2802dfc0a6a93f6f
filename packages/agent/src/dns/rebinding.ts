/**
 * Records in a resolver's answer that lead to this very host or into the network: no name of the outer world may stand for them, or
 * any web site could have its own name point at a service, and be let in as a local program (DNS rebinding). They are addresses,
 * hinted ones too, and names of the network and of `localhost`, which whoever follows an alias, a mail exchanger or a service record
 * asks for next, as well as what is said of those names. `localhost` itself is nobody's (RFC 6761, section 6.3), and keeps 127.0.0.1
 * and ::1.
 */

import { type AddressRange, inRange } from '@weft/proto';
import dnsPacket from 'dns-packet';
import { Flag, HEADER_LENGTH, readCompressedName, skipName, Type } from './message.ts';

/** SvcParamKeys of RFC 9460, section 14.3.2. */
const IPV4_HINT = 4;
const IPV6_HINT = 6;

type Labels = readonly string[];

/** What is ours, so that nobody else may speak of it. */
export interface OwnGround {
  /** Where this host's VIPs lie. */
  readonly range: AddressRange;
  /** Whether a name leads into the network. */
  readonly leadsInside: (labels: Labels) => boolean;
  /** Names under which addresses of loopback are meant, such as of block lists: of 127.0.0.0/8, and never of VIPs. */
  readonly private: readonly Labels[];
}

export interface Cleaned {
  /** Undefined when the answer cannot be read, and so not be trusted. */
  readonly message: Buffer | undefined;
  /** Records that were taken out. */
  readonly dropped: number;
}

/** `labels` is the name asked for, in lower case. An answer without such records is given back as it came. */
export function withoutOwnGround(message: Buffer, labels: Labels, ground: OwnGround): Cleaned {
  const own = findOwn(message, labels, ground);
  if (own === undefined) return { message: truncatedQuestion(message), dropped: 0 };
  if (!own.includes(true)) return { message, dropped: 0 };
  try {
    const packet = dnsPacket.decode(message);
    let at = 0;
    const keep = <Each>(records: readonly Each[] | undefined): Each[] =>
      (records ?? []).filter(() => own[at++] !== true);
    const answers = keep(packet.answers);
    const authorities = keep(packet.authorities);
    const additionals = keep(packet.additionals);
    const cleaned = dnsPacket.encode({ ...packet, answers, authorities, additionals });
    return { message: cleaned, dropped: own.filter((each) => each).length };
  } catch {
    return { message: undefined, dropped: 0 };
  }
}

/** A truncated answer may end within a record (RFC 2181 section 9): its head says enough, which is to ask over TCP. */
function truncatedQuestion(message: Buffer): Buffer | undefined {
  const end = skipName(message, HEADER_LENGTH);
  const truncated = (message.readUInt16BE(2) & Flag.TC) !== 0 && message.readUInt16BE(4) === 1;
  if (!truncated || end === undefined || end + 4 > message.length) return undefined;
  const head = Buffer.from(message.subarray(0, end + 4));
  return head.fill(0, 6, HEADER_LENGTH);
}

/** Of each record in order, whether it leads here; undefined for a message that is malformed. */
function findOwn(message: Buffer, asked: Labels, ground: OwnGround): boolean[] | undefined {
  const { range } = ground;
  const ofLocalhost = isLocalhost(asked);
  const meant = (address: Buffer) =>
    (ofLocalhost && LOCALHOST.includes(address.toString('hex'))) ||
    (address.length === 4 &&
      address[0] === 127 &&
      !inRange(address.readUInt32BE(0), range) &&
      isPrivate(asked, ground));
  const leads = (labels: Labels, alsoLocalhost: boolean) =>
    ground.leadsInside(labels) || (alsoLocalhost && !ofLocalhost && isLocalhost(labels));
  let offset = HEADER_LENGTH;
  for (let question = message.readUInt16BE(4); question > 0; question -= 1) {
    const end = skipName(message, offset);
    if (end === undefined || end + 4 > message.length) return undefined;
    offset = end + 4;
  }
  const found: boolean[] = [];
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  for (let record = 0; record < records; record += 1) {
    const owner = readCompressedName(message, offset);
    const nameEnd = skipName(message, offset);
    if (owner === undefined || nameEnd === undefined || nameEnd + 10 > message.length) return undefined;
    const start = nameEnd + 10;
    offset = start + message.readUInt16BE(nameEnd + 8);
    if (offset > message.length) return undefined;
    const type = message.readUInt16BE(nameEnd);
    const data = message.subarray(start, offset);
    const named = targetStart(type, data);
    const target = named === undefined ? [] : readCompressedName(message, start + named);
    if (target === undefined) return undefined;
    // 127.0.0.1 is called localhost, and servers for nothing are (RFC 6303).
    const calls = type !== Type.PTR && type !== Type.NS;
    if (leads(owner, true) || leads(target, calls)) found.push(true);
    else if (type === Type.A || type === Type.AAAA) found.push(leadsHere(data, range) && !meant(data));
    else found.push((type === Type.HTTPS || type === Type.SVCB) && hintsHere(data, range));
  }
  return found;
}

/** Where in a record's data the name stands that its reader goes on to; undefined for one without. */
function targetStart(type: number, data: Buffer): number | undefined {
  switch (type) {
    case Type.NS:
    case Type.CNAME:
    case Type.PTR:
    case Type.DNAME:
      return 0;
    case Type.MX:
    case Type.SVCB:
    case Type.HTTPS:
      return 2;
    case Type.SRV:
      return 6;
    case Type.NAPTR:
      // Order and preference; then flags, services and regexp, each behind its length (RFC 3403).
      return [1, 2, 3].reduce((at) => at + 1 + (data[at] ?? 0), 4);
    default:
      return undefined;
  }
}

const LOCALHOST = ['7f000001', '00000000000000000000000000000001'];

function isLocalhost(labels: Labels): boolean {
  return labels.at(-1) === 'localhost';
}

function isPrivate(labels: Labels, { private: domains }: OwnGround): boolean {
  return domains.some((domain) => {
    const start = labels.length - domain.length;
    return start >= 0 && domain.every((label, index) => labels[start + index] === label);
  });
}

/** Where an IPv6 address holds one of IPv4 behind these bytes: mapped, translated (RFC 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056). */
const HOLDERS = ['00000000000000000000ffff', '0000000000000000ffff0000', '0064ff9b0000000000000000', '2002'];

function leadsHere(address: Buffer, range: AddressRange): boolean {
  if (address.length === 4) {
    const number = address.readUInt32BE(0);
    // 0.0.0.0 is this host to whoever connects there.
    return address[0] === 127 || number === 0 || inRange(number, range);
  }
  if (address.length !== 16) return false;
  const text = address.toString('hex');
  // What is compatible with IPv4 (RFC 4291), ::1 and :: among it.
  if (text.startsWith('0'.repeat(24))) return text.endsWith('00000001') || leadsHere(address.subarray(12), range);
  // Translation within a network of its own (RFC 8215), by the form that ends in the address.
  if (text.startsWith('0064ff9b0001')) return leadsHere(address.subarray(12), range);
  const holder = HOLDERS.find((prefix) => text.startsWith(prefix));
  return holder !== undefined && leadsHere(address.subarray(holder.length / 2, holder.length / 2 + 4), range);
}

/** Service bindings carry addresses of their own, which browsers use before they have asked for others. */
function hintsHere(data: Buffer, range: AddressRange): boolean {
  const name = skipName(data, 2);
  let offset = name ?? data.length;
  while (offset + 4 <= data.length) {
    const key = data.readUInt16BE(offset);
    const start = offset + 4;
    offset = start + data.readUInt16BE(offset + 2);
    const size = key === IPV4_HINT ? 4 : key === IPV6_HINT ? 16 : 0;
    if (size === 0) continue;
    for (let at = start; at + size <= Math.min(offset, data.length); at += size) {
      if (leadsHere(data.subarray(at, at + size), range)) return true;
    }
  }
  return false;
}
