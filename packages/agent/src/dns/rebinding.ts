/**
 * Addresses in a resolver's answer that lead to this very host: no name of the outer world may stand for them, or any web site
 * could have its own name point at a service's VIP and be let in as a local program (DNS rebinding). `localhost` is nobody's
 * (RFC 6761, section 6.3), and keeps 127.0.0.1 and ::1.
 */

import { type AddressRange, inRange } from '@weft/proto';
import dnsPacket from 'dns-packet';
import { Flag, HEADER_LENGTH, skipName, Type } from './message.ts';

const HTTPS = 65;
const SVCB = 64;
/** SvcParamKeys of RFC 9460, section 14.3.2. */
const IPV4_HINT = 4;
const IPV6_HINT = 6;

export interface Cleaned {
  /** Undefined when the answer cannot be read, and so not be trusted. */
  readonly message: Buffer | undefined;
  /** Records that were taken out. */
  readonly dropped: number;
}

/** `labels` is the name asked for. An answer without such addresses is given back as it came. */
export function withoutOwnAddresses(message: Buffer, labels: readonly string[], range: AddressRange): Cleaned {
  const own = findOwn(message, range, labels.at(-1)?.toLowerCase() === 'localhost');
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
function findOwn(message: Buffer, range: AddressRange, localhost: boolean): boolean[] | undefined {
  let offset = HEADER_LENGTH;
  for (let question = message.readUInt16BE(4); question > 0; question -= 1) {
    const end = skipName(message, offset);
    if (end === undefined || end + 4 > message.length) return undefined;
    offset = end + 4;
  }
  const found: boolean[] = [];
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  for (let record = 0; record < records; record += 1) {
    const nameEnd = skipName(message, offset);
    if (nameEnd === undefined || nameEnd + 10 > message.length) return undefined;
    const start = nameEnd + 10;
    offset = start + message.readUInt16BE(nameEnd + 8);
    if (offset > message.length) return undefined;
    const type = message.readUInt16BE(nameEnd);
    const data = message.subarray(start, offset);
    if (type === Type.A || type === Type.AAAA) found.push(leadsHere(data, range) && !(localhost && isLocalhost(data)));
    else found.push((type === HTTPS || type === SVCB) && hintsHere(data, range));
  }
  return found;
}

function isLocalhost(address: Buffer): boolean {
  return ['7f000001', '00000000000000000000000000000001'].includes(address.toString('hex'));
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
