/** The two ends of a flow before its verdict: asked for here, or offered by the peer. */

import { UNSEEN } from '@weft/proto';
import {
  type EarlyData,
  MAXIMUM_EARLY,
  type OpenRequest,
  type PeerRefusal,
  type Refusal,
  type RefusalCode,
  type SourceClaim,
} from '../../words/opening.ts';
import { ByteQueue } from './byte-queue.ts';
import type { DatagramFlow } from './datagram-flow.ts';
import { MuxError, OpenError } from './errors.ts';
import { encodeCredit } from './frames.ts';
import type { Scheduler } from './scheduler.ts';
import type { MuxStream } from './stream.ts';
import { FRAME, MAXIMUM_CREDIT } from './types.ts';

/** What comes of asking a peer for a flow. Exactly one is called, once, unless the asker gave up first. */
export interface OpeningEvents {
  /** A stream for TCP, a flow for UDP. `early`: bytes that went before it was open. */
  opened(entry: MuxStream | DatagramFlow, early: number): void;
  refused(refusal: PeerRefusal): void;
  /** The tunnel ended before an answer. `early`: bytes that may have gone before; whether the peer has handed them on is not known. */
  failed(cause: Error, early: number): void;
}

/** Asked for here, not answered yet. */
export interface Opening {
  readonly request: OpenRequest;
  readonly events: OpeningEvents;
  /** Window promised to the peer, bytes; 0 for a UDP flow. */
  readonly window: number;
  readonly data: EarlyData | undefined;
  /** Bytes of it given to the scheduler. */
  early: number;
  /** Of these, those before the batch that had the last; what is in a batch when the tunnel ends has not gone. */
  sealed: number;
  /** Batches that were sealed before that one. */
  batch: number;
}

/**
 * What was over last in a tunnel. It stays, and by it one of each object that a flow is made of: of what there is none V8 forgets the
 * hidden class at a collection in a rest, and all that it optimized for it, and the next thousands of flows would pay for that.
 */
export interface LastOver {
  entry: MuxStream | DatagramFlow | undefined;
  offer: Offer | undefined;
  opening: Opening | undefined;
}

export interface OfferHost {
  readonly scheduler: Scheduler;
  /** Forgets the offer and makes what answers it; one that is over already when the peer gave up. */
  admit(offer: Offer, credit: number): { readonly entry: MuxStream | DatagramFlow; readonly window: number };
  dismiss(offer: Offer): void;
}

/** A flow the peer asks for. Exactly one of accept and refuse is to be called. */
export class Offer {
  readonly id: number;
  readonly request: OpenRequest;
  readonly #host: OfferHost;
  readonly #credit: number;
  #answered: boolean = false;
  #gone: boolean = false;
  #told: (() => void) | undefined;
  /** What came before an answer. */
  #early: ByteQueue | undefined;

  constructor(host: OfferHost, id: number, request: OpenRequest, credit: number) {
    this.#host = host;
    this.id = id;
    this.request = request;
    this.#credit = credit;
  }

  /** Whether the peer gave up, or the tunnel ended, before an answer. */
  get gone(): boolean {
    return this.#gone;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** What the caller said already; the queue is the stream's from then on. */
  takeEarly(): ByteQueue | undefined {
    const early = this.#early;
    this.#early = undefined;
    return early;
  }

  /** Keeps DATA that came before an answer. Throws MuxError. */
  receiveData(piece: Buffer, owned: boolean): void {
    if (this.request.protocol !== 'tcp') throw new MuxError('wrong-state', 'data on a UDP flow');
    this.#early ??= new ByteQueue();
    if (this.#early.length + piece.length > MAXIMUM_EARLY)
      throw new MuxError('window-overrun', `more than ${MAXIMUM_EARLY} bytes of data before an answer`);
    this.#early.push(piece, owned);
  }

  /** Tells, in place of who asked before, when the offer is gone; at once where it is. */
  onGone(told: () => void): void {
    if (this.#gone) told();
    else this.#told = told;
  }

  accept(): MuxStream | DatagramFlow {
    this.#answer();
    const { entry, window } = this.#host.admit(this, this.#credit);
    if (!this.#gone) this.#host.scheduler.control(FRAME.opened, this.id, encodeCredit(window));
    return entry;
  }

  refuse(refusal: Refusal): void {
    this.#answer();
    this.#dropEarly();
    this.#host.dismiss(this);
    if (!this.#gone) this.#host.scheduler.control(FRAME.refused, this.id, encodeRefusal(refusal));
  }

  abandon(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dropEarly();
    this.#told?.();
  }

  #dropEarly(): void {
    this.#early?.clear();
    this.#early = undefined;
  }

  #answer(): void {
    if (this.#answered) throw new TypeError('an offer is answered once');
    this.#answered = true;
  }
}

// OPEN, big endian:
//  0  u32  initial window, bytes
//  4  8    flow id
// 12  u8   protocol: 1 TCP, 2 UDP
// 13  u16  port
// 15  u32  ordinal
// 19  u8   source: 1 service, 2 host, 3 internet, 4 service of a user, 5 host of a user
// 20  u8   length of source text, then the text (service name, nothing, client address, user/service, user)
// ..  u8   length of service name, then the name
const OPEN_FIXED = 20;
const FLOW_ID = /^[0-9a-f]{16}$/;
const SERVICE_NAME = /^[a-z][a-z0-9-]{0,49}$/;
const CLIENT_ADDRESS = /^[\x21-\x7e]{1,64}$/;

const NEWEST_PROTOCOL = 2;
/** Empty for a user that no rule can name. */
const USER = /^(?:[a-z_][a-z0-9_-]{0,31})?$/;
const SOURCE_TYPES = { service: 1, host: 2, internet: 3, userService: 4, userHost: 5 } as const;
const NEWEST_SOURCE = SOURCE_TYPES.userHost;
const REFUSAL_CODES: readonly RefusalCode[] = ['denied', 'no-instance', 'not-listening', 'overloaded'];

function sourceType(source: SourceClaim): number {
  if (source.type === 'internet' || source.user === undefined) return SOURCE_TYPES[source.type];
  return source.type === 'service' ? SOURCE_TYPES.userService : SOURCE_TYPES.userHost;
}

function sourceText(source: SourceClaim): string {
  switch (source.type) {
    case 'service':
      return source.user === undefined ? source.name : `${source.user}/${source.name}`;
    case 'host':
      return source.user ?? '';
    case 'internet':
      return source.address;
  }
}

/** Throws OpenError when the request is not one that `decodeOpen` would take. */
export function encodeOpen(request: OpenRequest, window: number): Buffer {
  const text = sourceText(request.source);
  const payload = Buffer.allocUnsafe(OPEN_FIXED + 1 + text.length + 1 + request.service.length);
  try {
    payload.writeUInt32BE(window, 0);
    payload.write(request.flowId, 4, 8, 'hex');
    payload.writeUInt8(request.protocol === 'tcp' ? 1 : 2, 12);
    payload.writeUInt16BE(request.port, 13);
    payload.writeUInt32BE(request.ordinal, 15);
    const sort = sourceType(request.source);
    payload.writeUInt8(sort, 19);
    const end = writeText(payload, OPEN_FIXED, text);
    writeText(payload, end, request.service);
    if (!FLOW_ID.test(request.flowId)) throw new RangeError('flow id is not 16 hexadecimal digits');
    if (!SERVICE_NAME.test(request.service)) throw malformedOpen('service name');
    checkPlace(request.protocol, request.port, window);
    decodeSource(sort, text);
  } catch (cause) {
    throw new OpenError('invalid-request', 'the open request cannot be sent', { cause });
  }
  return payload;
}

/** What a peer asks for: a request, or in words what of it is of a newer version, in which case nothing else of it counts. */
export type Asked =
  | { readonly request: OpenRequest; readonly window: number }
  | { readonly request: undefined; readonly unknown: string };

/** Throws MuxError. */
export function decodeOpen(payload: Buffer): Asked {
  const source = readText(payload, OPEN_FIXED);
  const service = readText(payload, source.end);
  if (service.end !== payload.length) throw malformedOpen('length');
  if (!SERVICE_NAME.test(service.text)) throw malformedOpen('service name');
  const protocol = payload.readUInt8(12);
  const sort = payload.readUInt8(19);
  if (protocol > NEWEST_PROTOCOL) return { request: undefined, unknown: `protocol ${protocol}` };
  if (sort > NEWEST_SOURCE) return { request: undefined, unknown: `caller of sort ${sort}` };
  if (protocol === 0) throw malformedOpen('protocol');
  const port = payload.readUInt16BE(13);
  const window = payload.readUInt32BE(0);
  const known = protocol === 1 ? 'tcp' : 'udp';
  checkPlace(known, port, window);
  const request: OpenRequest = {
    flowId: payload.toString('hex', 4, 12),
    protocol: known,
    service: service.text,
    ordinal: payload.readUInt32BE(15),
    port,
    source: decodeSource(sort, source.text),
  };
  return { request, window };
}

function checkPlace(protocol: OpenRequest['protocol'], port: number, window: number): void {
  if (port === 0) throw malformedOpen('port');
  if (window > (protocol === 'tcp' ? MAXIMUM_CREDIT : 0)) throw malformedOpen('window');
}

function decodeSource(type: number, text: string): SourceClaim {
  if (type === SOURCE_TYPES.service && SERVICE_NAME.test(text)) return { type: 'service', name: text };
  if (type === SOURCE_TYPES.host && text === '') return { type: 'host' };
  if (type === SOURCE_TYPES.internet && CLIENT_ADDRESS.test(text)) return { type: 'internet', address: text };
  if (type === SOURCE_TYPES.userHost && USER.test(text)) return { type: 'host', user: text };
  if (type === SOURCE_TYPES.userService) {
    const [user = '', name = '', ...more] = text.split('/');
    if (USER.test(user) && SERVICE_NAME.test(name) && more.length === 0) return { type: 'service', name, user };
  }
  throw malformedOpen('source');
}

function malformedOpen(what: string): MuxError {
  return new MuxError('malformed-open', `OPEN with a wrong ${what}`);
}

// REFUSED, big endian:
//  0  u8   code: 1 denied, 2 no-instance, 3 not-listening, 4 overloaded
//  1  u64  revision
//  9  u8   length of rule, then the rule (UTF-8)
// ..  u16  length of detail, then the detail (UTF-8)
const REFUSAL_FIXED = 9;
const MAXIMUM_RULE = 255;
const MAXIMUM_DETAIL = 512;
const strictText = new TextDecoder('utf-8', { fatal: true });

/** Rule and detail are cut to their bounds. */
export function encodeRefusal(refusal: Refusal): Buffer {
  const rule = cut(refusal.rule, MAXIMUM_RULE);
  const detail = cut(refusal.detail, MAXIMUM_DETAIL);
  const payload = Buffer.alloc(REFUSAL_FIXED + 1 + rule.length + 2 + detail.length);
  payload.writeUInt8(REFUSAL_CODES.indexOf(refusal.code) + 1, 0);
  payload.writeBigUInt64BE(BigInt(refusal.revision), 1);
  payload.writeUInt8(rule.length, REFUSAL_FIXED);
  rule.copy(payload, REFUSAL_FIXED + 1);
  payload.writeUInt16BE(detail.length, REFUSAL_FIXED + 1 + rule.length);
  detail.copy(payload, REFUSAL_FIXED + 3 + rule.length);
  return payload;
}

/** Why a flow is not carried only tells: a code of a newer version must not end the tunnel. Throws MuxError. */
export function decodeRefusal(payload: Buffer): PeerRefusal {
  const number = payload.readUInt8(0);
  const revision = Number(payload.readBigUInt64BE(1));
  const ruleEnd = REFUSAL_FIXED + 1 + payload.readUInt8(REFUSAL_FIXED);
  if (number === 0 || !Number.isSafeInteger(revision) || ruleEnd + 2 > payload.length) throw malformedRefusal();
  const detailEnd = ruleEnd + 2 + payload.readUInt16BE(ruleEnd);
  if (detailEnd !== payload.length || detailEnd - ruleEnd - 2 > MAXIMUM_DETAIL) throw malformedRefusal();
  return {
    code: REFUSAL_CODES[number - 1] ?? 'other',
    revision,
    rule: readable(payload.subarray(REFUSAL_FIXED + 1, ruleEnd)),
    detail: readable(payload.subarray(ruleEnd + 2, detailEnd)),
  };
}

/** Text for logs, pages and terminals: what a peer wrote must not steer them. */
function readable(bytes: Buffer): string {
  try {
    return strictText.decode(bytes).replace(UNSEEN, ' ');
  } catch (cause) {
    throw malformedRefusal({ cause });
  }
}

function malformedRefusal(options?: ErrorOptions): MuxError {
  return new MuxError('malformed-refusal', 'REFUSED out of form', options);
}

/** At most `maximum` bytes of UTF-8, ending between characters. */
function cut(text: string, maximum: number): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= maximum) return bytes;
  let end = maximum;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function writeText(target: Buffer, offset: number, text: string): number {
  target.writeUInt8(text.length, offset);
  return offset + 1 + target.write(text, offset + 1, 'latin1');
}

/** Each byte becomes one character, so the forms above see exactly what was sent. */
function readText(payload: Buffer, offset: number): { readonly text: string; readonly end: number } {
  if (offset >= payload.length) throw malformedOpen('length');
  const start = offset + 1;
  const end = start + payload.readUInt8(offset);
  if (end > payload.length) throw malformedOpen('length');
  return { text: payload.toString('latin1', start, end), end };
}
