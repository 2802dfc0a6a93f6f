/**
 * Datagrams of one length and one source that the kernel has joined on their way in, or never parted where they were sent as one message
 * (UDP_GRO, udp(7)): one walk through its stack for all of them. How long each is comes with the message, as control data.
 */
import type { NativeCalls } from './native-calls.ts';
import { type NativeMessages, pinned } from './native-memory.ts';

const SOL_UDP = 17;
const UDP_GRO = 104;
/** struct cmsghdr: what its head takes, with an int behind it, and the room for it and what else somebody who has the socket, too, may have asked for. */
const CONTROL = { head: 16, length: 20, room: 64, level: 8, type: 12, data: 16 };
/** From bits/socket.h: of the message, or of its control data, something is missing. */
const MSG_CTRUNC = 0x08;
const MSG_TRUNC = 0x20;

/** Asks for them, of a socket; where the kernel has no such thing each comes by itself as before. */
export function joinDatagrams(calls: NativeCalls, descriptor: number): void {
  calls.setsockopt(descriptor, SOL_UDP, UDP_GRO, calls.on, 4);
}

/** The control data of received messages. */
export class SegmentLengths {
  readonly #messages: NativeMessages;
  readonly #control: DataView;
  readonly #controlAt: number;

  constructor(calls: NativeCalls, messages: NativeMessages, count: number) {
    const control = new ArrayBuffer(count * CONTROL.room);
    this.#messages = messages;
    this.#control = new DataView(control);
    this.#controlAt = Number(pinned(calls, control));
    for (let message = 0; message < count; message++) this.arm(message);
  }

  /** Before a message is received: the kernel writes what it used of the room. */
  arm(message: number): void {
    this.#messages.setControl(message, this.#controlAt + message * CONTROL.room, CONTROL.room);
  }

  /** How long each of the datagrams is that came as a message of `length` bytes, the last as long as it is; 0 where that cannot be told. */
  of(message: number, length: number): number {
    if ((this.#messages.flagsOf(message) & (MSG_CTRUNC | MSG_TRUNC)) !== 0) return 0;
    const came = Math.min(this.#messages.controlLengthOf(message), CONTROL.room);
    const start = message * CONTROL.room;
    for (let at = start; at < start + came; ) {
      const left = start + came - at;
      const size = left < CONTROL.head ? 0 : this.#control.getUint32(at, true);
      if (size < CONTROL.head || size > left) return 0;
      if (
        this.#control.getInt32(at + CONTROL.level, true) === SOL_UDP &&
        this.#control.getInt32(at + CONTROL.type, true) === UDP_GRO
      ) {
        const segment = size === CONTROL.length ? this.#control.getInt32(at + CONTROL.data, true) : 0;
        return segment > 0 ? Math.min(segment, length) : 0;
      }
      // CMSG_ALIGN
      at += (size + 7) & ~7;
    }
    // The kernel always says of joined ones that they are.
    return length;
  }
}
