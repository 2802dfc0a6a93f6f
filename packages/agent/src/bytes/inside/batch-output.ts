/**
 * Sends datagrams many at a time, by one sendmmsg(2): those that are sent while a batch of received ones is served, so nothing
 * waits for more to come. Neighbours of one length to one place go as one message that the kernel cuts (UDP_SEGMENT, udp(7)).
 */
import type dgram from 'node:dgram';
import { constants } from 'node:os';
import type { DatagramDropped, DatagramOutput } from '../datagram-output.ts';
import { isNumbered, type Numbered, systemError } from './known.ts';
import { batched, type NativeCalls, UNKNOWN } from './native-calls.ts';
import { NativeMessages, pinned } from './native-memory.ts';
import { CutPause, type Destination, Destinations } from './socket-address.ts';

/** Datagrams gathered at most, of all sockets of the thread; the kernel cuts a message in so many at most (UDP_MAX_SEGMENTS). */
const SLOTS = 64;
/** Larger ones are rare, and go by themselves. */
const SLOT_BYTES = 2_048;
/** Of one message that is cut: what a UDP length can say, over IPv4. */
const MOST_BYTES = 65_507;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
/** struct cmsghdr with 16 bits of data, and the room that it takes. */
const CONTROL = { length: 18, room: 24 };
const { EAGAIN, EBADF, EINVAL, EIO, EMSGSIZE, ENOBUFS, EOPNOTSUPP } = constants.errno;
/** What says that the kernel will not cut. */
const NOT_CUT: ReadonlySet<number> = new Set([-EIO, -EINVAL, -EMSGSIZE, -EOPNOTSUPP]);
/**
 * What is no verdict on a datagram by itself, but on how it was sent, or on the moment. Anything else was kept by the kernel for the next
 * call (ECONNREFUSED), and is told.
 */
const TRY_ALONE: ReadonlySet<number> = new Set([...NOT_CUT, -EAGAIN, -ENOBUFS, UNKNOWN]);

/** What goes alone, and what the kernel does not take. */
export interface SingleOutput extends DatagramOutput {
  /** Whether something waits for the kernel. */
  readonly waits: boolean;
}

/** Of a bound socket and its handle; undefined where that shows no number. `single` sends what goes alone. */
export function batchOutput(
  socket: dgram.Socket,
  calls: NativeCalls,
  handle: { readonly fd?: unknown },
  single: SingleOutput,
  dropped: DatagramDropped,
): DatagramOutput | undefined {
  if (!isNumbered(handle)) return undefined;
  const ipv6 = socket.address().family === 'IPv6';
  return new BatchOutput(gatheringOf(calls), handle, single, dropped, new Destinations(ipv6));
}

/** What outputs of this thread are given meanwhile is gathered. */
export class Gathering {
  /** More than 0 while it is. */
  #depth = 0;
  #flushing: boolean = false;
  used = 0;
  readonly #calls: NativeCalls;
  readonly #outputs: BatchOutput[] = [];
  #last: (() => void)[] = [];
  readonly memory: Buffer;
  readonly messages: NativeMessages;
  readonly #control: DataView;
  readonly #controlAt: number;

  constructor(calls: NativeCalls) {
    const memory = new ArrayBuffer(SLOTS * SLOT_BYTES);
    const control = new ArrayBuffer(SLOTS * CONTROL.room);
    this.#calls = calls;
    this.memory = Buffer.from(memory);
    this.messages = new NativeMessages(calls, SLOTS, memory);
    this.#control = new DataView(control);
    this.#controlAt = Number(pinned(calls, control));
    for (let at = 0; at < control.byteLength; at += CONTROL.room) {
      this.#control.setUint32(at, CONTROL.length, true);
      this.#control.setInt32(at + 8, SOL_UDP, true);
      this.#control.setInt32(at + 12, UDP_SEGMENT, true);
    }
  }

  get active(): boolean {
    return this.#depth > 0 && !this.#flushing;
  }

  /** What is sent meanwhile goes at its end. */
  during(serve: () => void): void {
    this.#depth += 1;
    try {
      serve();
    } finally {
      this.#end();
    }
  }

  /** To be called before what is gathered goes. False, and never called, where nothing is. */
  atEnd(call: () => void): boolean {
    if (this.#depth === 0) return false;
    this.#last.push(call);
    return true;
  }

  #end(): void {
    try {
      while (this.#depth === 1 && this.#last.length > 0) {
        const calls = this.#last;
        this.#last = [];
        callAll(calls);
      }
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.flush();
    }
  }

  /** The slot of a datagram to be sent at the end. */
  take(output: BatchOutput, datagram: Uint8Array, first: boolean): number {
    const slot = this.used++;
    this.memory.set(datagram, slot * SLOT_BYTES);
    if (first) this.#outputs.push(output);
    return slot;
  }

  get full(): boolean {
    return this.used === SLOTS;
  }

  /** In the order in which outputs came. Who hears of a failure meanwhile and sends, sends alone: the slots are in use. */
  flush(): void {
    if (this.used === 0 || this.#flushing) return;
    this.#flushing = true;
    try {
      for (const output of this.#outputs) output.flush();
    } finally {
      // Also those that come after one that threw: what they keep would lie in slots that are others'.
      for (const output of this.#outputs) output.forget();
      this.#outputs.length = 0;
      this.used = 0;
      this.#flushing = false;
    }
  }

  /** A message that the kernel cuts into datagrams of `bytes`, the last as long as it is. */
  cut(message: number, bytes: number): void {
    this.#control.setUint16(message * CONTROL.room + 16, bytes, true);
    this.messages.setControl(message, this.#controlAt + message * CONTROL.room, CONTROL.room);
  }

  send(descriptor: number, first: number, count: number): number {
    return this.#calls.sendMany(descriptor, this.messages.at(first, count), count);
  }
}

/** All of them in their order, also those behind one that throws. */
function callAll(calls: readonly (() => void)[], from = 0): void {
  for (let next = from; next < calls.length; next++) {
    try {
      calls[next]?.();
    } catch (error) {
      callAll(calls, next + 1);
      throw error;
    }
  }
}

/** A thread has its calls once, and so one of these. */
const gatherings = new WeakMap<NativeCalls, Gathering>();

export function gatheringOf(calls: NativeCalls): Gathering {
  const found = gatherings.get(calls) ?? new Gathering(calls);
  gatherings.set(calls, found);
  return found;
}

class BatchOutput implements DatagramOutput {
  readonly #gathering: Gathering;
  readonly #handle: Numbered;
  readonly #single: SingleOutput;
  readonly #dropped: DatagramDropped;
  readonly #destinations: Destinations;
  /** What is gathered: where it lies, how long it is and where it goes; undefined for where the socket is connected. */
  readonly #slots: number[] = [];
  readonly #lengths: number[] = [];
  readonly #to: (Destination | undefined)[] = [];
  /** Where each message begins, and where the last ends. */
  readonly #starts: number[] = [];
  /** Where the socket is connected. */
  readonly #pause = new CutPause();

  constructor(
    gathering: Gathering,
    handle: Numbered,
    single: SingleOutput,
    dropped: DatagramDropped,
    destinations: Destinations,
  ) {
    this.#gathering = gathering;
    this.#handle = handle;
    this.#single = single;
    this.#dropped = dropped;
    this.#destinations = destinations;
  }

  sendConnected(datagram: Buffer): void {
    if (!this.#gather(datagram, undefined)) this.#single.sendConnected(datagram);
  }

  send(datagram: Buffer, port: number, address: string): void {
    const to = this.#gathering.active ? this.#destinations.of(address, port) : undefined;
    if (to === undefined || !this.#gather(datagram, to)) this.#single.send(datagram, port, address);
  }

  /** False when it is to go alone. */
  #gather(datagram: Buffer, to: Destination | undefined): boolean {
    if (!this.#gathering.active) return false;
    if (datagram.length > SLOT_BYTES || this.#single.waits) {
      // In their order.
      if (this.#slots.length > 0) this.#gathering.flush();
      return false;
    }
    if (this.#gathering.full) this.#gathering.flush();
    const slot = this.#gathering.take(this, datagram, this.#slots.length === 0);
    this.#slots.push(slot);
    this.#lengths.push(datagram.length);
    this.#to.push(to);
    return true;
  }

  /** Sends what is gathered. */
  flush(): void {
    try {
      const messages = this.#arrange();
      for (let next = 0; next < messages; ) next = this.#sendFrom(next, messages);
    } finally {
      this.forget();
    }
  }

  /** What is gathered, sent or not. */
  forget(): void {
    this.#slots.length = 0;
    this.#lengths.length = 0;
    this.#to.length = 0;
  }

  /** Writes the headers; answers how many. */
  #arrange(): number {
    const { messages } = this.#gathering;
    let count = 0;
    for (let start = 0; start < this.#slots.length; count++) {
      const end = this.#endOf(start);
      this.#starts[count] = start;
      for (let at = start; at < end; at++) {
        messages.setPiece(at, (this.#slots[at] ?? 0) * SLOT_BYTES, this.#lengths[at] ?? 0);
      }
      messages.setPieces(count, start, end - start);
      const to = this.#to[start];
      messages.setName(count, to?.sockaddr.length ?? 0);
      if (to !== undefined) messages.writeName(count, to.sockaddr);
      if (end - start > 1) this.#gathering.cut(count, this.#lengths[start] ?? 0);
      else messages.setControl(count, 0, 0);
      start = end;
    }
    this.#starts[count] = this.#slots.length;
    return count;
  }

  /** Where a message that begins there ends: as long as all are of one length, but for a shorter last, and go to one place. */
  #endOf(start: number): number {
    const length = this.#lengths[start] ?? 0;
    let end = start + 1;
    if (length === 0) return end;
    if (this.#pauseOf(start).holds()) return end;
    for (let bytes = length; end < this.#slots.length && this.#to[end] === this.#to[start]; end++) {
      const next = this.#lengths[end] ?? 0;
      bytes += next;
      if (next === 0 || next > length || bytes > MOST_BYTES) break;
      if (next < length) return end + 1;
    }
    return end;
  }

  /** Sends messages from `next` on; answers which is next. */
  #sendFrom(next: number, messages: number): number {
    // Asked each time: a failure that was told may have closed the socket, and its number be another's.
    const { fd } = this.#handle;
    const start = this.#starts[next] ?? 0;
    // Where it was closed meanwhile, or the kernel had no room for one, those behind may not go before it.
    if (!(fd >= 0) || this.#single.waits) {
      this.#sendAlone(start, this.#slots.length);
      return messages;
    }
    const sent = this.#gathering.send(fd, next, messages - next);
    if (sent > 0) {
      const datagrams = (this.#starts[next + sent] ?? 0) - start;
      for (let message = next; datagrams > sent && message < next + sent; message++) {
        if (this.#sizeOf(message) > 1) this.#pauseOf(this.#starts[message] ?? 0).end();
      }
      if (datagrams > 1) batched.sent += datagrams;
      return next + sent;
    }
    const told = sent < 0 && !TRY_ALONE.has(sent);
    if (told) this.#dropped(systemError(sent, 'send'));
    else if (this.#sizeOf(next) > 1 && NOT_CUT.has(sent)) this.#pauseOf(start).begin();
    this.#sendAlone(told ? start + 1 : start, this.#starts[next + 1] ?? start);
    return next + 1;
  }

  #pauseOf(datagram: number): CutPause {
    return this.#to[datagram]?.pause ?? this.#pause;
  }

  #sizeOf(message: number): number {
    return (this.#starts[message + 1] ?? 0) - (this.#starts[message] ?? 0);
  }

  #sendAlone(start: number, end: number): void {
    for (let at = start; at < end; at++) {
      if (!(this.#handle.fd >= 0)) {
        this.#dropped(systemError(-EBADF, 'send'));
        continue;
      }
      const from = (this.#slots[at] ?? 0) * SLOT_BYTES;
      const datagram = this.#gathering.memory.subarray(from, from + (this.#lengths[at] ?? 0));
      const to = this.#to[at];
      if (to === undefined) this.#single.sendConnected(datagram);
      else this.#single.send(datagram, to.port, to.address);
    }
  }
}
