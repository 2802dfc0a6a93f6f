/**
 * How a tunnel connection begins. Initiator to responder, then the answer:
 *
 *   magic 'WEFT' 0..3 · version 4 · suite 5 · length of message 1, big-endian 6..7 · message 1 8..
 *   length of message 2, big-endian 0..1 · message 2 2..
 *
 * The suite is the initiator's choice. It is not signed here: it is part of the Noise protocol name, which the handshake
 * hashes, so that a changed one fails the handshake.
 */
import type { CipherName } from './cipher.ts';
import { HandshakeError } from './errors.ts';
import { MAXIMUM_PAYLOAD, MESSAGE1_OVERHEAD, MESSAGE2_OVERHEAD } from './handshake-state.ts';

const MAGIC = Buffer.from('WEFT', 'ascii');
const VERSION = 1;
const SUITE_AESGCM = 1;
const SUITE_CHACHAPOLY = 2;

const VERSION_AT = 4;
const SUITE_AT = 5;
const LENGTH_AT = 6;
const PREAMBLE_LENGTH = 8;
const REPLY_HEADER_LENGTH = 2;

export interface Preamble {
  readonly cipher: CipherName;
  /** Message 1, a copy. */
  readonly message: Buffer;
}

export interface Reply {
  /** Message 2, a copy. */
  readonly message: Buffer;
  /** What follows it in the last chunk: the first records. A view of that chunk. */
  readonly rest: Buffer;
}

/** All that the initiator sends before it has keys. */
export function encodePreamble(cipher: CipherName, message1: Uint8Array): Buffer {
  const header = Buffer.alloc(PREAMBLE_LENGTH);
  MAGIC.copy(header);
  header[VERSION_AT] = VERSION;
  header[SUITE_AT] = cipher === 'AESGCM' ? SUITE_AESGCM : SUITE_CHACHAPOLY;
  header.writeUInt16BE(boundLength(message1.length, MESSAGE1_OVERHEAD), LENGTH_AT);
  return Buffer.concat([header, message1]);
}

/** The responder's answer; its records follow at once. */
export function encodeReply(message2: Uint8Array): Buffer {
  const header = Buffer.alloc(REPLY_HEADER_LENGTH);
  header.writeUInt16BE(boundLength(message2.length, MESSAGE2_OVERHEAD), 0);
  return Buffer.concat([header, message2]);
}

/** Reads the start of an accepted connection, however it is torn. Holds at most 4,200 bytes. */
export class PreambleReader {
  readonly #header = new Collector(PREAMBLE_LENGTH);
  #message: Collector | undefined;

  /**
   * Undefined until message 1 is whole. Throws HandshakeError at the first byte that is wrong, and 'early-data' for any
   * byte after message 1: an honest initiator has no keys yet.
   */
  push(chunk: Buffer): Preamble | undefined {
    let at = this.#header.fill(chunk, 0);
    checkPreamble(this.#header.held);
    if (!this.#header.full) return undefined;
    this.#message ??= new Collector(boundLength(this.#header.held.readUInt16BE(LENGTH_AT), MESSAGE1_OVERHEAD));
    at = this.#message.fill(chunk, at);
    if (at < chunk.length) throw new HandshakeError('early-data', 'bytes after message 1');
    if (!this.#message.full) return undefined;
    return {
      cipher: this.#header.held[SUITE_AT] === SUITE_AESGCM ? 'AESGCM' : 'ChaChaPoly',
      message: this.#message.held,
    };
  }
}

/** Reads the answer to a preamble, however it is torn. Holds at most 4,146 bytes. */
export class ReplyReader {
  readonly #header = new Collector(REPLY_HEADER_LENGTH);
  #message: Collector | undefined;

  /** Undefined until message 2 is whole; to be called no more after that. Throws HandshakeError 'wrong-length'. */
  push(chunk: Buffer): Reply | undefined {
    let at = this.#header.fill(chunk, 0);
    if (!this.#header.full) return undefined;
    this.#message ??= new Collector(boundLength(this.#header.held.readUInt16BE(0), MESSAGE2_OVERHEAD));
    if (this.#message.full) throw new HandshakeError('wrong-order', 'message 2 was already read');
    at = this.#message.fill(chunk, at);
    if (!this.#message.full) return undefined;
    return { message: this.#message.held, rest: chunk.subarray(at) };
  }
}

/** A known number of bytes, gathered from chunks that the next read overwrites. */
class Collector {
  readonly #bytes: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
  }

  get full(): boolean {
    return this.#length === this.#bytes.length;
  }

  /** What there is so far. */
  get held(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Takes what it lacks from the chunk, from `at` on, and returns where it stopped. */
  fill(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#bytes, this.#length, at);
    this.#length += taken;
    return at + taken;
  }
}

/** Refuses a stranger (a browser, a port scanner) at its first wrong byte, before anything of it is kept. */
function checkPreamble(held: Buffer): void {
  const magic = held.subarray(0, MAGIC.length);
  if (!magic.equals(MAGIC.subarray(0, magic.length))) {
    throw new HandshakeError('wrong-magic', 'the connection does not begin as a tunnel');
  }
  const version = held[VERSION_AT];
  if (version !== undefined && version !== VERSION) {
    throw new HandshakeError('unsupported-version', `tunnel version ${version} is not known here`);
  }
  const suite = held[SUITE_AT];
  if (suite !== undefined && suite !== SUITE_AESGCM && suite !== SUITE_CHACHAPOLY) {
    throw new HandshakeError('unsupported-suite', `cipher suite ${suite} is not known here`);
  }
}

function boundLength(length: number, overhead: number): number {
  if (length < overhead || length > overhead + MAXIMUM_PAYLOAD) {
    throw new HandshakeError('wrong-length', `a handshake message of ${length} bytes`);
  }
  return length;
}
