/**
 * Receives datagrams many at a time: Node brings the first of a burst, and one recvmmsg(2) what came with it. Each that Node
 * receives costs it 64 KiB of memory and a call.
 */
import type dgram from 'node:dgram';
import { constants } from 'node:os';
import { type Gathering, gatheringOf } from './batch-output.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { isNumbered, type Numbered, systemError } from './known.ts';
import { batched, type NativeCalls } from './native-calls.ts';
import { NAME_BYTES, NativeMessages } from './native-memory.ts';
import { type SocketPlace, Sources } from './socket-address.ts';

/** One that came, and from where, as Node says it. A socket that is closed hears no more. */
export type DatagramReceiver = (datagram: Buffer, from: SocketPlace) => void;

/** Datagrams received by one call. */
const SLOTS = 32;
/** The largest that there is, in pages that are touched only as far as it is long. */
const SLOT_BYTES = 65_536;
/** Apart by a few lines of the processor's cache more than that, lest all slots lie in the same ones. */
const SLOT_STRIDE = SLOT_BYTES + 320;
/** Calls left out after one that brought nothing: those of a socket whose datagrams come one by one cost nothing. */
const MOST_SKIPPED = 16;
/** Datagrams that one socket may bring in a turn of the loop, beside the 32 that libuv reads in a row: others wait meanwhile. */
const MOST_A_TURN = 128;
/** Nothing is there, or a signal came. */
const NOTHING: ReadonlySet<number> = new Set([-constants.errno.EAGAIN, -constants.errno.EINTR]);

/** A thread's memory for what one call brings. It is served before there is another. */
class Receiving {
  readonly memory: Buffer;
  readonly messages: NativeMessages;
  readonly #calls: NativeCalls;
  /** What each slot held last, as long as it was. */
  readonly #views: Buffer[] = [];
  #busy: boolean = false;

  constructor(calls: NativeCalls) {
    const memory = new ArrayBuffer(SLOTS * SLOT_STRIDE);
    this.#calls = calls;
    this.memory = Buffer.from(memory);
    this.messages = new NativeMessages(calls, SLOTS, memory);
    for (let slot = 0; slot < SLOTS; slot++) {
      this.messages.setPiece(slot, slot * SLOT_STRIDE, SLOT_BYTES);
      this.messages.setPieces(slot, slot, 1);
      this.messages.setName(slot, NAME_BYTES);
    }
  }

  /** How many came, or a negated errno; none while what came before is being served. */
  receive(descriptor: number): number {
    if (this.#busy) return 0;
    const came = this.#calls.receiveMany(descriptor, this.messages.at(0, SLOTS), SLOTS);
    this.#busy = came > 0;
    return came;
  }

  /** All that came was served. */
  done(came: number): void {
    // The kernel has said how long they are.
    for (let slot = 0; slot < came; slot++) this.messages.setName(slot, NAME_BYTES);
    this.#busy = false;
  }

  datagram(slot: number): Buffer {
    const length = Math.min(this.messages.lengthOf(slot), SLOT_BYTES);
    const last = this.#views[slot];
    if (last?.length === length) return last;
    const view = this.memory.subarray(slot * SLOT_STRIDE, slot * SLOT_STRIDE + length);
    this.#views[slot] = view;
    return view;
  }
}

/** A thread has its calls once, and so one of these. */
const receivings = new WeakMap<NativeCalls, Receiving>();

/** Receives on a bound socket; false where it does not show its number. Whoever is `lent` datagrams keeps none of them. */
export function receiveBatches(
  socket: dgram.Socket,
  calls: NativeCalls,
  lent: boolean,
  receiver: DatagramReceiver,
): boolean {
  const handle = datagramHandleOf(socket);
  if (handle === undefined || !isNumbered(handle)) return false;
  const receiving = receivings.get(calls) ?? new Receiving(calls);
  receivings.set(calls, receiving);
  const input = new BatchInput(socket, handle, receiving, gatheringOf(calls), lent, receiver);
  socket.on('message', (datagram, from) => input.first(datagram, from));
  return true;
}

/** In memory of its own, as Node's are: of a piece of its pool all of that would stay with one that is kept, and the bounds count its bytes alone. */
function copyOf(datagram: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(datagram.length);
  copy.set(datagram);
  return copy;
}

class BatchInput {
  readonly #socket: dgram.Socket;
  readonly #handle: Numbered;
  readonly #receiving: Receiving;
  readonly #gathering: Gathering;
  readonly #lent: boolean;
  readonly #receiver: DatagramReceiver;
  readonly #sources = new Sources();
  /** Datagrams of Node's until the next call, and how many after that. */
  #skip = 0;
  #nextSkip = 1;
  #left = MOST_A_TURN;

  constructor(
    socket: dgram.Socket,
    handle: Numbered,
    receiving: Receiving,
    gathering: Gathering,
    lent: boolean,
    receiver: DatagramReceiver,
  ) {
    this.#socket = socket;
    this.#handle = handle;
    this.#receiving = receiving;
    this.#gathering = gathering;
    this.#lent = lent;
    this.#receiver = receiver;
  }

  /** One that Node has received. */
  first(datagram: Buffer, from: dgram.RemoteInfo): void {
    if (this.#skip > 0 || this.#left <= 0) {
      this.#skip -= 1;
      this.#receiver(datagram, from);
      return;
    }
    this.#gathering.begin();
    try {
      this.#receiver(datagram, from);
      this.#others();
    } finally {
      this.#gathering.end();
    }
  }

  #others(): void {
    const { fd } = this.#handle;
    if (!(fd >= 0)) return;
    const came = this.#receiving.receive(fd);
    if (came <= 0) {
      this.#skip = this.#nextSkip;
      this.#nextSkip = Math.min(2 * this.#nextSkip, MOST_SKIPPED);
      // As Node tells it.
      if (came < 0 && !NOTHING.has(came)) this.#socket.emit('error', systemError(came, 'recvmsg'));
      return;
    }
    this.#nextSkip = 1;
    batched.received += came;
    this.#spend(came);
    try {
      this.#serve(came);
    } finally {
      this.#receiving.done(came);
    }
  }

  #serve(came: number): void {
    const { messages } = this.#receiving;
    for (let slot = 0; slot < came; slot++) {
      // Who has closed the socket hears nothing more of it.
      if (!(this.#handle.fd >= 0)) return;
      const datagram = this.#receiving.datagram(slot);
      this.#receiver(this.#lent ? datagram : copyOf(datagram), this.#sources.read(messages.names, slot * NAME_BYTES));
    }
  }

  #spend(datagrams: number): void {
    if (this.#left === MOST_A_TURN) {
      setImmediate(() => {
        this.#left = MOST_A_TURN;
      });
    }
    this.#left -= datagrams;
  }
}
