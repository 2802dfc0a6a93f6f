/** Writing an answer: the question's own bytes, then records by dns-packet, within the size the asker takes. */
import dnsPacket, { type ResourceRecord } from 'dns-packet';
import { Flag, HEADER_LENGTH, type Query, Rcode } from './message.ts';
import type { Transport } from './types.ts';

/** Seconds. Short, because names follow instances that come and go. */
export const TTL = 5;
/** Without EDNS an answer over UDP has at most this, RFC 1035 section 4.2.1. */
const PLAIN_UDP_SIZE = 512;
/** The most sent over UDP whatever the asker takes: an answer must be no amplifier, and loopback no reason for one. */
const MAX_UDP_SIZE = 4096;
/** What this server takes over UDP, told in its OPT: what fits a frame on every path (DNS flag day 2020). */
const OWN_UDP_SIZE = 1232;
const MAX_TCP_SIZE = 65_535;
/** A name that is a pointer to offset 12, where the question's name stands. */
const QUESTION_NAME = Buffer.of(0xc0, HEADER_LENGTH);

/** A record; without a name it belongs to the name that was asked. */
export type AnswerRecord = ResourceRecord extends infer R
  ? R extends ResourceRecord
    ? Omit<R, 'name'> & { name?: string }
    : never
  : never;

export interface Answer {
  readonly rcode: number;
  /** Whether the name lies in a zone of ours. */
  readonly authoritative: boolean;
  readonly answers: readonly AnswerRecord[];
  readonly authorities: readonly AnswerRecord[];
  /** Left out first when the answer grows too large. */
  readonly additionals: readonly AnswerRecord[];
  /** The order changes from answer to answer, so that finished bytes must not be kept. */
  readonly rotates: boolean;
}

export function emptyAnswer(rcode: number, authoritative = false): Answer {
  return { rcode, authoritative, answers: [], authorities: [], additionals: [], rotates: false };
}

/** Bytes that an answer to this question may have. */
export function sizeLimit(query: Query, transport: Transport): number {
  if (transport === 'tcp') return MAX_TCP_SIZE;
  if (query.edns === undefined) return PLAIN_UDP_SIZE;
  return Math.min(Math.max(query.edns.payloadSize, PLAIN_UDP_SIZE), MAX_UDP_SIZE);
}

/**
 * The finished message. When the answers do not all fit, as many as do are sent with TC, so that an asker that never
 * comes back over TCP still has some; missing additional records set no TC (RFC 2181 section 9).
 */
export function encodeAnswer(query: Query, answer: Answer, transport: Transport): Buffer {
  const opt = query.edns === undefined ? undefined : encodeOpt(query.edns.dnssecOk, answer.rcode);
  const room = sizeLimit(query, transport) - HEADER_LENGTH - query.question.length - (opt?.length ?? 0);
  const answers = answer.answers.map(encodeRecord);
  const authorities = answer.authorities.map(encodeRecord);
  let additionals = answer.additionals.map(encodeRecord);
  let truncated = false;
  if (total(answers) + total(authorities) + total(additionals) > room) additionals = [];
  while (answers.length > 0 && total(answers) + total(authorities) > room) {
    // Records of one set are about equally long, so one or two steps find how many fit.
    answers.length = Math.max(0, Math.min(answers.length - 1, Math.floor((answers.length * room) / total(answers))));
    truncated = true;
  }
  if (opt !== undefined) additionals.push(opt);
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(
    Flag.QR |
      (query.flags & (Flag.OPCODE | Flag.RD | Flag.CD)) |
      Flag.RA |
      (answer.authoritative ? Flag.AA : 0) |
      (truncated ? Flag.TC : 0) |
      (answer.rcode & Flag.RCODE),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  header.writeUInt16BE(additionals.length, 10);
  return Buffer.concat([header, query.question, ...answers, ...authorities, ...additionals]);
}

function total(records: readonly Buffer[]): number {
  let length = 0;
  for (const record of records) length += record.length;
  return length;
}

function encodeRecord(record: AnswerRecord): Buffer {
  if (record.name !== undefined) return dnsPacket.answer.encode({ ...record, name: record.name } as ResourceRecord);
  // Encoded at the root, whose name is one zero byte, which then gives way to the pointer.
  const atRoot = dnsPacket.answer.encode({ ...record, name: '.' } as ResourceRecord);
  return Buffer.concat([QUESTION_NAME, atRoot.subarray(1)]);
}

/** RFC 6891 section 6.1.3: the higher bits of the rcode, version 0, and DO as it was asked (RFC 3225). */
function encodeOpt(dnssecOk: boolean, rcode: number): Buffer {
  return dnsPacket.answer.encode({
    name: '.',
    type: 'OPT',
    udpPayloadSize: OWN_UDP_SIZE,
    extendedRcode: rcode >> 4,
    ednsVersion: 0,
    flags: dnssecOk ? 0x8000 : 0,
  });
}

/** SERVFAIL to this question, authoritative for no name. */
export function servfail(query: Query, transport: Transport): Buffer {
  return encodeAnswer(query, emptyAnswer(Rcode.SERVFAIL), transport);
}
