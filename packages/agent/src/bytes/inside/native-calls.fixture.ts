/** A kernel for what is told it by headers in memory: answers as a test says, and reads what it was shown. */
import { findNative, type NativeCalls } from './native-calls.ts';

/** Of one mmsghdr. */
export interface Message {
  /** Lengths of its pieces. */
  readonly pieces: readonly number[];
  /** Bytes that each datagram is cut to; undefined where it is not cut. */
  readonly cut: number | undefined;
  /** Where to; undefined for where the socket is connected. */
  readonly port: number | undefined;
}

/** What came as one message. */
export interface Came {
  readonly bytes: Uint8Array;
  /** The words of its control data, of 32 bits. */
  readonly control?: readonly number[];
  readonly controlLength?: number;
  readonly flags?: number;
}

/** `send` answers each sendmmsg, and `receive` each recvmmsg, as the system calls do, or with a negated errno or with what came. */
export class FakeKernel implements NativeCalls {
  readonly library = {};
  readonly #blocks: { readonly at: number; readonly view: DataView }[] = [];
  readonly #send: (messages: readonly Message[]) => number;
  readonly #receive: () => number | readonly Came[];
  #next = 0x10_0000;

  constructor(send: (messages: readonly Message[]) => number, receive: () => number | readonly Came[] = () => -11) {
    this.#send = send;
    this.#receive = receive;
  }

  addressOf(memory: ArrayBuffer): bigint {
    const at = this.#next;
    this.#next += Math.ceil(memory.byteLength / 4_096) * 4_096 + 4_096;
    this.#blocks.push({ at, view: new DataView(memory) });
    return BigInt(at);
  }

  sendMany(_descriptor: number, headers: bigint, count: number): number {
    return this.#send(Array.from({ length: count }, (_, message) => this.#message(Number(headers) + 64 * message)));
  }

  receiveMany(_descriptor: number, headers: bigint, count: number): number {
    const came = this.#receive();
    if (typeof came === 'number') return came;
    const taken = came.slice(0, count);
    for (const [message, what] of taken.entries()) this.#deliver(Number(headers) + 64 * message, what);
    return taken.length;
  }

  send(): number {
    return -11;
  }

  accept(): number {
    return -11;
  }

  readonly on = 0n;
  readonly unsent = 0n;

  setsockopt(): number {
    return 0;
  }

  /** Which sockets have something is the real kernel's to tell. */
  pollInstead(descriptor: number): number {
    return this.#real?.pollInstead(descriptor) ?? -38;
  }

  watch(poll: number, descriptor: number, token: number): number {
    return this.#real?.watch(poll, descriptor, token) ?? -38;
  }

  forget(poll: number, descriptor: number): number {
    return this.#real?.forget(poll, descriptor) ?? -38;
  }

  ready(poll: number, tokens: Uint32Array): number {
    return this.#real?.ready(poll, tokens) ?? -38;
  }

  get #real(): NativeCalls | undefined {
    const found = findNative();
    return typeof found === 'string' ? undefined : found;
  }

  #message(at: number): Message {
    const [name, pieces, control] = [this.#pointer(at), this.#pointer(at + 16), this.#pointer(at + 32)];
    return {
      pieces: Array.from({ length: this.#word(at + 24) }, (_, piece) => this.#word(pieces + 16 * piece + 8)),
      cut: control === 0 ? undefined : this.#in(control + 16, (view, offset) => view.getUint16(offset, true)),
      port: name === 0 ? undefined : this.#in(name + 2, (view, offset) => view.getUint16(offset)),
    };
  }

  /** From 127.0.0.1:9. */
  #deliver(at: number, { bytes, control = [], controlLength = 4 * control.length, flags = 0 }: Came): void {
    const put = (to: number, word: number) => this.#in(to, (view, offset) => view.setUint32(offset, word, true));
    const [name, piece, room] = [this.#pointer(at), this.#pointer(at + 16), this.#pointer(at + 32)];
    put(name, 2 + 9 * 2 ** 24);
    put(name + 4, 0x0100_007f);
    this.#in(this.#pointer(piece), (view, offset) => {
      new Uint8Array(view.buffer, offset).set(bytes);
    });
    for (const [index, word] of control.entries()) put(room + 4 * index, word);
    put(at + 40, controlLength);
    put(at + 48, flags);
    put(at + 56, bytes.length);
  }

  #pointer(at: number): number {
    return this.#word(at) + this.#word(at + 4) * 2 ** 32;
  }

  #word(at: number): number {
    return this.#in(at, (view, offset) => view.getUint32(offset, true));
  }

  /** As the kernel does, it fails for what lies nowhere. */
  #in<T>(at: number, read: (view: DataView, offset: number) => T): T {
    const block = this.#blocks.find((one) => at >= one.at && at < one.at + one.view.byteLength);
    if (block === undefined) throw new Error('EFAULT');
    return read(block.view, at - block.at);
  }
}
