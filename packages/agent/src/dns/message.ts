/**
 * Reading a question off the wire, RFC 1035 section 4, as far as an answer needs it. Done by hand and not by dns-packet:
 * the answer repeats the question's own bytes (with the case the asker drew, which is its defence against forgery), labels
 * keep their borders, and no length is believed before it is checked.
 *
 *   0 id · 2 flags (QR opcode AA TC RD RA Z AD CD rcode) · 4 QDCOUNT · 6 ANCOUNT · 8 NSCOUNT · 10 ARCOUNT · 12 question
 */

export const HEADER_LENGTH = 12;
const MAX_NAME_LENGTH = 255;

/** Bits of the header's second 16. */
export const Flag = {
  QR: 0x8000,
  OPCODE: 0x7800,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  CD: 0x0010,
  RCODE: 0x000f,
} as const;

/** RFC 1035 section 4.1.1; BADVERS of RFC 6891 needs the four higher bits that OPT adds. */
export const Rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  SVCB: 64,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export interface Query {
  readonly id: number;
  readonly flags: number;
  /** The question section as it came: name, type, class. A view of the packet. */
  readonly question: Buffer;
  /** The name's labels in lower case, first label first; bytes beyond ASCII as Latin-1. The root has none. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
  readonly edns: Edns | undefined;
}

/** The OPT record of a question, RFC 6891. */
export interface Edns {
  readonly version: number;
  /** Largest UDP answer the asker takes, as it says. */
  readonly payloadSize: number;
  /** The DO bit. */
  readonly dnssecOk: boolean;
  readonly hasOptions: boolean;
}

/** Whether these bytes can be answered at all: a whole header that says it is a question. */
export function isQuestion(packet: Buffer): boolean {
  return packet.length >= HEADER_LENGTH && (packet.readUInt16BE(2) & Flag.QR) === 0;
}

/** Reads a question with opcode QUERY; undefined when it is malformed (FORMERR). The header must have been checked. */
export function readQuery(packet: Buffer): Query | undefined {
  if (packet.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  const nameEnd = readName(packet, HEADER_LENGTH, labels);
  if (nameEnd === undefined || nameEnd + 4 > packet.length) return undefined;
  const edns = readEdns(packet, nameEnd + 4);
  if (edns === 'malformed') return undefined;
  return {
    id: packet.readUInt16BE(0),
    flags: packet.readUInt16BE(2),
    question: packet.subarray(HEADER_LENGTH, nameEnd + 4),
    labels,
    type: packet.readUInt16BE(nameEnd),
    class: packet.readUInt16BE(nameEnd + 2),
    edns,
  };
}

/** Reads a name without compression, as a question's must be: no earlier name exists. Answers where it ends. */
function readName(packet: Buffer, start: number, labels: string[]): number | undefined {
  let offset = start;
  while (offset < packet.length) {
    const length = packet.readUInt8(offset);
    if (length === 0) return offset + 1;
    const end = offset + 1 + length;
    if (length > 63 || end >= packet.length || end + 1 - start > MAX_NAME_LENGTH) return undefined;
    labels.push(lowerCase(packet.toString('latin1', offset + 1, end)));
    offset = end;
  }
  return undefined;
}

/** ASCII only, RFC 4343: other bytes are compared as they are. */
function lowerCase(label: string): string {
  return /[A-Z]/.test(label) ? label.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : label;
}

/** Where a name ends that may be compressed. Pointers are not followed, so there is nothing to loop in. */
export function skipName(packet: Buffer, start: number): number | undefined {
  let offset = start;
  while (offset < packet.length) {
    const length = packet.readUInt8(offset);
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    if (length > 63) return undefined;
    offset += 1 + length;
  }
  return undefined;
}

/**
 * The labels, in lower case, of a name that may be compressed. Pointers lead back only (RFC 1035 section 4.1.4), so there is no
 * loop; undefined when the name is malformed.
 */
export function readCompressedName(packet: Buffer, start: number): string[] | undefined {
  const labels: string[] = [];
  let length = 0;
  for (let offset = start, before = start; offset < packet.length; ) {
    const head = packet.readUInt8(offset);
    if (head === 0) return labels;
    if (head >= 0xc0) {
      if (offset + 2 > packet.length) return undefined;
      offset = packet.readUInt16BE(offset) & 0x3fff;
      if (offset >= before) return undefined;
      before = offset;
      continue;
    }
    length += 1 + head;
    if (head > 63 || length >= MAX_NAME_LENGTH || offset + 1 + head > packet.length) return undefined;
    labels.push(lowerCase(packet.toString('latin1', offset + 1, offset + 1 + head)));
    offset += 1 + head;
  }
  return undefined;
}

/** Walks the records after the question for OPT. Each takes 11 bytes or more, so the packet's length bounds the walk. */
function readEdns(packet: Buffer, start: number): Edns | undefined | 'malformed' {
  const count = packet.readUInt16BE(6) + packet.readUInt16BE(8) + packet.readUInt16BE(10);
  let edns: Edns | undefined;
  let offset = start;
  for (let record = 0; record < count; record++) {
    const nameEnd = skipName(packet, offset);
    if (nameEnd === undefined || nameEnd + 10 > packet.length) return 'malformed';
    const dataLength = packet.readUInt16BE(nameEnd + 8);
    const end = nameEnd + 10 + dataLength;
    if (end > packet.length) return 'malformed';
    if (packet.readUInt16BE(nameEnd) === Type.OPT) {
      // RFC 6891 section 6.1.1: at most one, at the root name.
      if (edns !== undefined || packet.readUInt8(offset) !== 0) return 'malformed';
      edns = {
        payloadSize: packet.readUInt16BE(nameEnd + 2),
        version: packet.readUInt8(nameEnd + 5),
        dnssecOk: (packet.readUInt16BE(nameEnd + 6) & 0x8000) !== 0,
        hasOptions: dataLength > 0,
      };
    }
    offset = end;
  }
  return edns;
}

/** An answer of a header alone, for what cannot be read further. */
export function headerReply(packet: Buffer, rcode: number): Buffer {
  const reply = Buffer.alloc(HEADER_LENGTH);
  reply.writeUInt16BE(packet.readUInt16BE(0), 0);
  const asked = packet.readUInt16BE(2);
  reply.writeUInt16BE(Flag.QR | (asked & (Flag.OPCODE | Flag.RD)) | rcode, 2);
  return reply;
}
