/**
 * Frames to bytes, and record plaintext to frames. A record holds whole frames, but lies in as many pieces as the network delivered: headers
 * and small payloads may straddle pieces, and DATA is handed on piece by piece, never joined.
 */
import { copyOfLent } from '../../words/passing-memory.ts';
import { MuxError } from './errors.ts';
import { FRAME, FRAME_HEADER, type FrameHandler, type FrameType, MAXIMUM_DATA, MAXIMUM_DATAGRAM } from './types.ts';

interface Form {
  /** Bounds of the payload: checked before a byte of it is looked at. */
  readonly minimum: number;
  readonly maximum: number;
  /** Belongs to the tunnel, not to a stream: its stream id is 0. */
  readonly tunnel?: true;
  /** The key changes with the next record, so nothing may follow in this one. */
  readonly last?: true;
  /** Nobody keeps its payload. */
  readonly used?: true;
  hand(handler: FrameHandler, id: number, payload: Buffer): void;
}

/** Of a stream. */
function form(minimum: number, maximum: number, hand: Form['hand']): Form {
  return { minimum, maximum, hand };
}

/** Of a stream, and lent. */
function used(minimum: number, maximum: number, hand: Form['hand']): Form {
  return { minimum, maximum, used: true, hand };
}

/** Of the tunnel. */
function own(minimum: number, maximum: number, hand: (handler: FrameHandler, payload: Buffer) => void): Form {
  return { minimum, maximum, tunnel: true, hand: (handler, _id, payload) => hand(handler, payload) };
}

/** DATA is missing: it is handed on in pieces. */
const FORMS: ReadonlyMap<number, Form> = new Map<number, Form>([
  [FRAME.open, form(23, 256, (handler, id, payload) => handler.open(id, payload))],
  [FRAME.opened, used(4, 4, (handler, id, payload) => handler.opened(id, payload))],
  [FRAME.refused, form(12, 1024, (handler, id, payload) => handler.refused(id, payload))],
  [FRAME.window, used(4, 4, (handler, id, payload) => handler.window(id, payload.readUInt32BE()))],
  [FRAME.fin, used(0, 0, (handler, id) => handler.fin(id))],
  [FRAME.reset, used(0, 0, (handler, id) => handler.reset(id))],
  [FRAME.datagram, used(0, MAXIMUM_DATAGRAM, (handler, id, payload) => handler.datagram(id, payload))],
  [FRAME.ping, own(8, 8, (handler, payload) => handler.ping(payload))],
  [FRAME.pong, own(8, 8, (handler, payload) => handler.pong(payload))],
  [FRAME.goAway, own(0, 0, (handler) => handler.goAway())],
  [FRAME.handshake1, own(1, 8192, (handler, payload) => handler.handshake1(payload))],
  [FRAME.handshake2, { ...own(1, 8192, (handler, payload) => handler.handshake2(payload)), last: true }],
  [FRAME.switchKeys, { ...own(0, 0, (handler) => handler.switchKeys()), last: true }],
  [FRAME.rekey, { ...own(0, 0, (handler) => handler.rekey()), last: true }],
]);

/** A place in the pieces of one record. */
class Cursor {
  /** One is there always: see LastOver. */
  static readonly kept: Cursor = new Cursor([]);

  readonly #pieces: readonly Buffer[];
  #index = 0;
  #offset = 0;
  left = 0;
  /** Of the header that was read last. */
  type = 0;
  id = 0;
  length = 0;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
    for (const piece of pieces) this.left += piece.length;
  }

  /** Reads the next header from where it lies: a record of many small messages has one for each. */
  readHeader(): void {
    let piece = this.#pieces[this.#index];
    let at = this.#offset;
    if (piece !== undefined && at + FRAME_HEADER <= piece.length) {
      this.#offset += FRAME_HEADER;
      this.left -= FRAME_HEADER;
    } else {
      piece = this.take(FRAME_HEADER);
      at = 0;
    }
    this.type = piece.readUInt8(at);
    this.id = piece.readUInt32BE(at + 1);
    this.length = piece.readUInt32BE(at + 5);
  }

  /** The next bytes that lie together: 1 to `maximum`. */
  next(maximum: number): Buffer {
    let piece = this.#pieces[this.#index];
    while (piece !== undefined && this.#offset === piece.length) {
      this.#offset = 0;
      piece = this.#pieces[++this.#index];
    }
    if (piece === undefined) throw new MuxError('truncated', 'a frame runs past the end of its record');
    const end = Math.min(this.#offset + maximum, piece.length);
    const view = this.#offset === 0 && end === piece.length ? piece : piece.subarray(this.#offset, end);
    this.#offset = end;
    this.left -= view.length;
    return view;
  }

  /** Exactly `length` bytes together; copied only when they straddle pieces. */
  take(length: number): Buffer {
    if (length > this.left) throw new MuxError('truncated', 'a frame runs past the end of its record');
    if (length === 0) return Buffer.alloc(0);
    const first = this.next(length);
    if (first.length === length) return first;
    const joined = Buffer.allocUnsafe(length);
    let filled = first.copy(joined);
    while (filled < length) filled += this.next(length - filled).copy(joined, filled);
    return joined;
  }
}

/**
 * Hands each frame of the record to the handler. Pieces that are not `owned` are used before this returns, and what may be kept of
 * them is copied. Throws MuxError at the first thing wrong.
 */
export function decodeRecord(pieces: readonly Buffer[], handler: FrameHandler, owned: boolean): void {
  const cursor = new Cursor(pieces);
  while (cursor.left > 0 && !handler.stopped) {
    cursor.readHeader();
    const { type, id, length } = cursor;
    if (type === FRAME.data) {
      checkLength(type, length, 1, MAXIMUM_DATA, cursor.left);
      decodeData(cursor, handler, id, length, owned);
      continue;
    }
    const form = FORMS.get(type);
    if (form === undefined) throw new MuxError('unknown-frame', `frame type ${type}`);
    checkLength(type, length, form.minimum, form.maximum, cursor.left);
    if (form.tunnel === true && id !== 0) throw new MuxError('wrong-stream', `frame type ${type} names stream ${id}`);
    if (form.last === true && cursor.left > length)
      throw new MuxError('not-last', `frame type ${type} is not the last`);
    const payload = cursor.take(length);
    form.hand(handler, id, owned || form.used === true ? payload : copyOfLent(payload));
  }
}

function checkLength(type: number, length: number, minimum: number, maximum: number, left: number): void {
  if (length < minimum || length > maximum) {
    throw new MuxError('wrong-length', `frame type ${type} with ${length} bytes`);
  }
  if (length > left) throw new MuxError('truncated', 'a frame runs past the end of its record');
}

function decodeData(cursor: Cursor, handler: FrameHandler, id: number, length: number, owned: boolean): void {
  let left = length;
  while (left > 0 && !handler.stopped) {
    const piece = cursor.next(left);
    left -= piece.length;
    handler.data(id, piece, owned);
  }
}

/** Writes a header at `offset`; returns where the payload goes. */
export function writeHeader(target: Buffer, offset: number, type: FrameType, id: number, length: number): number {
  target[offset] = type;
  target.writeUInt32BE(id, offset + 1);
  target.writeUInt32BE(length, offset + 5);
  return offset + FRAME_HEADER;
}

/** A header alone, for a payload that is sealed from where it lies. */
export function encodeHeader(type: FrameType, id: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER);
  writeHeader(header, 0, type, id, length);
  return header;
}

export function encodeCredit(credit: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(credit);
  return payload;
}
