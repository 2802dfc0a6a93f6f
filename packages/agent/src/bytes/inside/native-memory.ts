/**
 * Where datagrams lie for sendmmsg(2) and recvmmsg(2), laid out as Linux has them on 64 bits, little-endian: mmsghdr, iovec,
 * sockaddr_in(6), cmsghdr. Made once and never moved; only lengths, and what a message is made of, change from call to call.
 */
import { markAsUntransferable } from 'node:worker_threads';
import type { NativeCalls } from './native-calls.ts';

/** struct mmsghdr, in words of 32 bits. */
const HEADER = {
  words: 16,
  name: 0,
  nameLength: 2,
  pieces: 4,
  pieceCount: 6,
  control: 8,
  controlLength: 10,
  flags: 12,
  length: 14,
};
const HEADER_BYTES = HEADER.words * 4;
/** struct iovec, in words of 32 bits. */
const PIECE = { words: 4, length: 2 };
/** A sockaddr_in6, and some to spare. */
export const NAME_BYTES = 32;
const WORD = 2 ** 32;

/** A block that the kernel is shown: no thread can be handed it, which would free it here. Answers its address. */
export function pinned(calls: NativeCalls, block: ArrayBuffer): bigint {
  markAsUntransferable(block);
  return calls.addressOf(block);
}

function notThere(): RangeError {
  return new RangeError('headers or pieces that are not there');
}

export class NativeMessages {
  /** Addresses of the headers. */
  readonly #addresses: readonly bigint[];
  /** A sockaddr of NAME_BYTES each. */
  readonly names: DataView;
  readonly #nameBytes: Uint8Array;
  readonly #headers: Uint32Array;
  readonly #pieces: Uint32Array;
  readonly #namesAt: number;
  readonly #piecesAt: number;
  readonly #memoryAt: number;
  readonly #memoryBytes: number;

  /** `memory`: where pieces lie. */
  constructor(calls: NativeCalls, count: number, memory: ArrayBuffer) {
    const headers = new ArrayBuffer(count * HEADER_BYTES);
    const pieces = new ArrayBuffer(count * PIECE.words * 4);
    const names = new ArrayBuffer(count * NAME_BYTES);
    const first = pinned(calls, headers);
    this.#addresses = Array.from({ length: count }, (_, message) => first + BigInt(message * HEADER_BYTES));
    this.#headers = new Uint32Array(headers);
    this.#pieces = new Uint32Array(pieces);
    this.names = new DataView(names);
    this.#nameBytes = new Uint8Array(names);
    // Below 2^53, as all that a program has.
    this.#namesAt = Number(pinned(calls, names));
    this.#piecesAt = Number(pinned(calls, pieces));
    this.#memoryAt = Number(pinned(calls, memory));
    this.#memoryBytes = memory.byteLength;
  }

  /** Of `count` headers from one on, for a call. Throws RangeError where there are not so many. */
  at(message: number, count: number): bigint {
    const address = this.#addresses[message];
    if (address === undefined || !(count >= 0 && message + count <= this.#addresses.length)) throw notThere();
    return address;
  }

  /** How many bytes of a name are given, or may come: 0 for none. Throws RangeError. */
  setName(message: number, bytes: number): void {
    const at = this.#header(message);
    if (!(bytes >= 0 && bytes <= NAME_BYTES)) throw new RangeError('a name that is too long');
    this.#point(this.#headers, at + HEADER.name, bytes === 0 ? 0 : this.#namesAt + message * NAME_BYTES);
    this.#headers[at + HEADER.nameLength] = bytes;
  }

  /** Throws RangeError for one that is too long. */
  writeName(message: number, sockaddr: Uint8Array): void {
    this.#header(message);
    if (sockaddr.length > NAME_BYTES) throw new RangeError('a name that is too long');
    this.#nameBytes.set(sockaddr, message * NAME_BYTES);
  }

  /** Throws RangeError where that is not within the memory: nothing else is ever shown to the kernel. */
  setPiece(piece: number, offset: number, length: number): void {
    if (!(piece >= 0 && (piece + 1) * PIECE.words <= this.#pieces.length)) throw notThere();
    if (!(offset >= 0 && length >= 0 && offset + length <= this.#memoryBytes))
      throw new RangeError('a piece outside its memory');
    const at = piece * PIECE.words;
    this.#point(this.#pieces, at, this.#memoryAt + offset);
    this.#pieces[at + PIECE.length] = length;
  }

  /** What a message is made of. Throws RangeError. */
  setPieces(message: number, first: number, count: number): void {
    if (!(first >= 0 && count >= 0 && (first + count) * PIECE.words <= this.#pieces.length)) throw notThere();
    const at = this.#header(message);
    this.#point(this.#headers, at + HEADER.pieces, this.#piecesAt + first * PIECE.words * 4);
    this.#headers[at + HEADER.pieceCount] = count;
  }

  /** `address` 0 for none; what lies there is whoever's that gives it. Throws RangeError for a header that is not there. */
  setControl(message: number, address: number, bytes: number): void {
    const at = this.#header(message);
    this.#point(this.#headers, at + HEADER.control, address);
    this.#headers[at + HEADER.controlLength] = bytes;
  }

  /** Bytes that came. Throws RangeError. */
  lengthOf(message: number): number {
    return this.#headers[this.#header(message) + HEADER.length] ?? 0;
  }

  /** What is left of the room for control data once a message came, and its flags. Throws RangeError. */
  controlLengthOf(message: number): number {
    return this.#headers[this.#header(message) + HEADER.controlLength] ?? 0;
  }

  flagsOf(message: number): number {
    return this.#headers[this.#header(message) + HEADER.flags] ?? 0;
  }

  #header(message: number): number {
    if (this.#addresses[message] === undefined) throw notThere();
    return message * HEADER.words;
  }

  #point(words: Uint32Array, at: number, address: number): void {
    words[at] = address % WORD;
    words[at + 1] = Math.floor(address / WORD);
  }
}
