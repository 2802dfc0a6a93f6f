/** A kernel for what is told it by headers in memory: answers as a test says, and reads what it was shown. */
import type { NativeCalls } from './native-calls.ts';

/** Of one mmsghdr. */
export interface Message {
  /** Lengths of its pieces. */
  readonly pieces: readonly number[];
  /** Bytes that each datagram is cut to; undefined where it is not cut. */
  readonly cut: number | undefined;
  /** Where to; undefined for where the socket is connected. */
  readonly port: number | undefined;
}

/** `send` answers each sendmmsg, and `receive` each recvmmsg, as the system calls do, or with a negated errno. */
export class FakeKernel implements NativeCalls {
  readonly library = {};
  readonly #blocks: { readonly at: number; readonly view: DataView }[] = [];
  readonly #send: (messages: readonly Message[]) => number;
  readonly #receive: () => number;
  #next = 0x10_0000;

  constructor(send: (messages: readonly Message[]) => number, receive: () => number = () => -11) {
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

  receiveMany(): number {
    return this.#receive();
  }

  send(): number {
    return -11;
  }

  #message(at: number): Message {
    const [name, pieces, control] = [this.#pointer(at), this.#pointer(at + 16), this.#pointer(at + 32)];
    return {
      pieces: Array.from({ length: this.#word(at + 24) }, (_, piece) => this.#word(pieces + 16 * piece + 8)),
      cut: control === 0 ? undefined : this.#in(control + 16, (view, offset) => view.getUint16(offset, true)),
      port: name === 0 ? undefined : this.#in(name + 2, (view, offset) => view.getUint16(offset)),
    };
  }

  #pointer(at: number): number {
    return this.#word(at) + this.#word(at + 4) * 2 ** 32;
  }

  #word(at: number): number {
    return this.#in(at, (view, offset) => view.getUint32(offset, true));
  }

  /** As the kernel does, it fails for what lies nowhere. */
  #in(at: number, read: (view: DataView, offset: number) => number): number {
    const block = this.#blocks.find((one) => at >= one.at && at < one.at + one.view.byteLength);
    if (block === undefined) throw new Error('EFAULT');
    return read(block.view, at - block.at);
  }
}
