/**
 * Receives datagrams many at a time: the loop tells that there are some, and one recvmmsg(2) brings all, joined where the kernel
 * has them so. Each that Node receives costs it 64 KiB of memory and a call.
 */
import type dgram from 'node:dgram';
import { constants } from 'node:os';
import { type Gathering, gatheringOf } from './batch-output.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { Doorbell } from './doorbell.ts';
import { joinDatagrams, SegmentLengths } from './joined-datagrams.ts';
import { countUnwatched, isNumbered, type Numbered, systemError } from './known.ts';
import { batched, type NativeCalls } from './native-calls.ts';
import { NAME_BYTES, NativeMessages } from './native-memory.ts';
import { type SocketPlace, Sources } from './socket-address.ts';

/** One that came, and from where, as Node says it. A socket that is closed hears no more. */
export type DatagramReceiver = (datagram: Buffer, from: SocketPlace) => void;

/**
 * Messages received by one call, all of which are served in that turn of the loop: each may be as many datagrams as the kernel joins,
 * 64 of a network and 128 of this host.
 */
const SLOTS = 8;
/** The largest that there is, in pages that are touched only as far as it is long. */
const SLOT_BYTES = 65_536;
/** Apart by a few lines of the processor's cache more than that, lest all slots lie in the same ones. */
const SLOT_STRIDE = SLOT_BYTES + 320;
/** Once so many datagrams of one socket were handed on it is asked for no more in this turn of the loop: others wait meanwhile. */
const MOST_A_TURN = 128;
/** That is tried again so often which could not be had for what comes one by one, or would if it came. */
const AGAIN_MS = 1_000;
/** Views kept of one slot: as many as the kernel joins (UDP_MAX_SEGMENTS), whatever it says. */
const MOST_KEPT = 128;
/** Nothing is there, or a signal came. */
const NOTHING: ReadonlySet<number> = new Set([-constants.errno.EAGAIN, -constants.errno.EINTR]);

/** A thread's memory for what one call brings, which is served before there is another. */
class Receiving {
  readonly gathering: Gathering;
  readonly names: DataView;
  readonly #calls: NativeCalls;
  readonly #memory: Buffer;
  readonly #messages: NativeMessages;
  readonly #segments: SegmentLengths;
  /** Of each slot the datagrams that it held last. */
  readonly #views: Buffer[][] = Array.from({ length: SLOTS }, () => []);
  #busy: boolean = false;
  #doorbell: Doorbell | undefined;
  readonly #unwatched = new Set<() => boolean>();
  #timer: NodeJS.Timeout | undefined;

  constructor(calls: NativeCalls) {
    const memory = new ArrayBuffer(SLOTS * SLOT_STRIDE);
    this.#calls = calls;
    this.#memory = Buffer.from(memory);
    this.#messages = new NativeMessages(calls, SLOTS, memory);
    this.#segments = new SegmentLengths(calls, this.#messages, SLOTS);
    this.names = this.#messages.names;
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#messages.setPiece(slot, slot * SLOT_STRIDE, SLOT_BYTES);
      this.#messages.setPieces(slot, slot, 1);
      this.#messages.setName(slot, NAME_BYTES);
    }
    this.gathering = gatheringOf(calls);
  }

  /** As `Doorbell.watch`; false also where there can be no doorbell now, as where no file can be opened. */
  watch(socket: dgram.Socket, ready: () => number): boolean {
    this.#doorbell ??= Doorbell.hang(this.#calls, (serve) => this.gathering.during(serve));
    return this.#doorbell?.watch(socket, ready) === true;
  }

  /** `again` is called now and then until it answers that it came to something. Answers what ends that before. */
  later(again: () => boolean): () => void {
    this.#unwatched.add(again);
    this.#timer ??= setInterval(() => {
      // Where one cannot have it, the others cannot.
      for (const each of this.#unwatched) if (!each()) return;
    }, AGAIN_MS).unref();
    return () => {
      this.#unwatched.delete(again);
      if (this.#unwatched.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** How many messages came of at most `count`, or a negated errno; none while what came before is being served. */
  receive(descriptor: number, count: number): number {
    if (this.#busy) return 0;
    const came = this.#calls.receiveMany(descriptor, this.#messages.at(0, count), count);
    this.#busy = came > 0;
    return came;
  }

  /** All that came was served. */
  done(came: number): void {
    // The kernel has said how long they are.
    for (let slot = 0; slot < came; slot++) {
      this.#messages.setName(slot, NAME_BYTES);
      this.#segments.arm(slot);
      const views = this.#views[slot];
      if (views !== undefined && views.length > MOST_KEPT) views.length = MOST_KEPT;
    }
    this.#busy = false;
  }

  /** What came in a slot: one datagram, or those that were joined, in their order; lent. None where it cannot be told how long they are. */
  datagrams(slot: number): readonly Buffer[] {
    const length = Math.min(this.#messages.lengthOf(slot), SLOT_BYTES);
    const segment = this.#segments.of(slot, length);
    const views = this.#views[slot] ?? [];
    const count = length === 0 ? 1 : segment === 0 ? 0 : Math.ceil(length / segment);
    if (views.length > count) views.length = count;
    const start = slot * SLOT_STRIDE;
    for (let index = 0; index < count; index++) {
      const from = index * segment;
      const to = Math.min(from + segment, length);
      const last = views[index];
      if (last?.byteOffset === start + from && last.length === to - from) continue;
      views[index] = this.#memory.subarray(start + from, start + to);
    }
    return views;
  }
}

/** A thread has its calls once, and so one of these. */
const receivings = new WeakMap<NativeCalls, Receiving>();

/** Receives on a bound socket; false where Node does not show its number. Datagrams are lent. */
export function receiveBatches(socket: dgram.Socket, calls: NativeCalls, receiver: DatagramReceiver): boolean {
  const handle = datagramHandleOf(socket);
  if (handle === undefined || !isNumbered(handle)) return false;
  const receiving = receivings.get(calls) ?? new Receiving(calls);
  receivings.set(calls, receiving);
  const input = new BatchInput(socket, handle, receiving, receiver);
  const watch = (): boolean => {
    if (!receiving.watch(socket, () => input.receive())) return false;
    joinDatagrams(calls, handle.fd);
    return true;
  };
  if (!watch()) receiveSingly(socket, receiving, watch, receiver);
  return true;
}

/** By Node, until `watch` does not fail any more. */
function receiveSingly(
  socket: dgram.Socket,
  receiving: Receiving,
  watch: () => boolean,
  receiver: DatagramReceiver,
): void {
  const stop = () => {
    countUnwatched(-1);
    socket.off('message', receiver).off('close', stop);
    over();
  };
  const over = receiving.later(() => {
    const watched = watch();
    if (watched) stop();
    return watched;
  });
  countUnwatched(1);
  socket.on('message', receiver).once('close', stop);
}

class BatchInput {
  readonly #socket: dgram.Socket;
  readonly #handle: Numbered;
  readonly #receiving: Receiving;
  readonly #receiver: DatagramReceiver;
  readonly #sources = new Sources();
  /** Messages that the next call asks for: fewer where each was many datagrams. */
  #asked = SLOTS;

  constructor(socket: dgram.Socket, handle: Numbered, receiving: Receiving, receiver: DatagramReceiver) {
    this.#socket = socket;
    this.#handle = handle;
    this.#receiving = receiving;
    this.#receiver = receiver;
  }

  /** What is there, or so much of it as a turn has room for; answers how much of that it took. */
  receive(): number {
    let taken = 0;
    while (taken < MOST_A_TURN) {
      const { fd } = this.#handle;
      const asked = this.#asked;
      // Who has closed the socket hears nothing more of it.
      const came = fd >= 0 ? this.#receiving.receive(fd, asked) : 0;
      // As Node tells it.
      if (came < 0 && !NOTHING.has(came)) this.#socket.emit('error', systemError(came, 'recvmsg'));
      if (came <= 0) break;
      const handed = this.#serve(came);
      if (handed > 1) batched.received += handed;
      // More only step by step, for one that comes alone does not say that the next will.
      this.#asked = Math.min(SLOTS, 2 * asked, Math.max(1, Math.floor((MOST_A_TURN * came) / Math.max(handed, 1))));
      // Also one of which nothing is handed on has cost its time.
      taken += Math.max(handed, came);
      if (came < asked) break;
    }
    return taken;
  }

  /** Answers how many datagrams were handed on. */
  #serve(came: number): number {
    let handed = 0;
    try {
      for (let slot = 0; slot < came; slot++) {
        const from = this.#sources.read(this.#receiving.names, slot * NAME_BYTES);
        const datagrams = this.#receiving.datagrams(slot);
        if (datagrams.length === 0) batched.unparted += 1;
        for (const datagram of datagrams) {
          if (!(this.#handle.fd >= 0)) return handed;
          handed += 1;
          if (datagrams.length > 1) batched.joined += 1;
          this.#receiver(datagram, from);
        }
      }
    } finally {
      this.#receiving.done(came);
    }
    return handed;
  }
}
