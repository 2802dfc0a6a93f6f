/**
 * Tells which sockets have something to be read, without Node's reading it: one epoll(7) of a thread that its loop watches as if it were a UDP
 * socket. Reading that fails, which reads nothing, and its callback is the ring.
 */
import type dgram from 'node:dgram';
import { addressSocket } from '../address-socket.ts';
import { datagramHandleOf } from './datagram-output.ts';
import { isNumbered, type Numbered, systemError } from './known.ts';
import type { NativeCalls } from './native-calls.ts';

/** Sockets that are told of at once; others ring again. */
const MOST = 64;
/** Once so much was done for those that rang, others of them wait for the loop's next turn. */
const MOST_A_TURN = 256;

/** What node:dgram reads by, of a UDPWrap. */
interface ReadingHandle extends Numbered {
  recvStart(): number;
  recvStop(): number;
  close(...given: unknown[]): unknown;
  onmessage: unknown;
}

interface Watched {
  readonly handle: ReadingHandle;
  readonly ready: () => number;
}

export class Doorbell {
  readonly #calls: NativeCalls;
  readonly #socket: dgram.Socket;
  readonly #handle: ReadingHandle;
  readonly #around: (serve: () => void) => void;
  readonly #watched = new Map<number, Watched>();
  readonly #tokens = new Uint32Array(MOST);
  #nextToken = 0;
  /** Of the tokens, those that are told of, and the first whose socket was not asked. */
  #count = 0;
  #next = 0;

  /** Undefined where there cannot be one. `around` calls what it is given, once a ring. */
  static hang(calls: NativeCalls, around: (serve: () => void) => void): Doorbell | undefined {
    const socket = addressSocket('udp4');
    socket.on('error', () => undefined);
    // With its lookup it is bound before this returns.
    socket.bind({ port: 0, address: '127.0.0.1', exclusive: true });
    const handle = datagramHandleOf(socket);
    if (handle !== undefined && isReading(handle)) {
      const bell = new Doorbell(calls, socket, handle, around);
      if (bell.#hang()) return bell;
    }
    socket.close();
    return undefined;
  }

  private constructor(
    calls: NativeCalls,
    socket: dgram.Socket,
    handle: ReadingHandle,
    around: (serve: () => void) => void,
  ) {
    this.#calls = calls;
    this.#socket = socket;
    this.#handle = handle;
    this.#around = around;
    handle.onmessage = () => this.#ring();
    // It keeps the thread for those that it watches.
    socket.unref();
  }

  /**
   * `ready` is called in a turn of the loop in which there is something to be read, and is to read it, or it is called again; it answers how much that was. After some
   * 256, of all sockets, no other is called in that turn. Node reads nothing of it any more.
   * False where that cannot be. To be called once of a bound socket.
   */
  watch(socket: dgram.Socket, ready: () => number): boolean {
    const handle = datagramHandleOf(socket);
    if (handle === undefined || !isReading(handle)) return false;
    const token = this.#nextToken;
    this.#nextToken = (token + 1) % 2 ** 32;
    if (this.#calls.watch(this.#handle.fd, handle.fd, token) !== 0) return false;
    handle.recvStop();
    this.#forgetBeforeClose(handle);
    this.#watched.set(token, { handle, ready });
    this.#socket.ref();
    socket.once('close', () => {
      this.#watched.delete(token);
      if (this.#watched.size === 0) this.#socket.unref();
    });
    return true;
  }

  /** One that is closed here and not in another process, which has it too, would ring for ever, and nobody could stop it any more. */
  #forgetBeforeClose(handle: ReadingHandle): void {
    const { close } = handle;
    handle.close = (...given) => {
      if (handle.fd >= 0) this.#calls.forget(this.#handle.fd, handle.fd);
      return close.apply(handle, given);
    };
  }

  #ring(): void {
    if (this.#next >= this.#count) {
      this.#next = 0;
      this.#count = this.#calls.ready(this.#handle.fd, this.#tokens);
      // Its number is no epoll's any more: it would ring for ever, and nobody be asked.
      if (this.#count < 0) throw systemError(this.#count, 'epoll_wait');
    }
    this.#around(() => {
      for (let done = 0; this.#next < this.#count && done < MOST_A_TURN; ) {
        const watched = this.#watched.get(this.#tokens[this.#next++] ?? 0);
        if (watched !== undefined && watched.handle.fd >= 0) done += watched.ready();
      }
    });
  }

  #hang(): boolean {
    this.#handle.recvStop();
    return this.#calls.pollInstead(this.#handle.fd) === 0 && this.#handle.recvStart() === 0;
  }
}

function isReading(handle: object): handle is ReadingHandle {
  const { recvStart, recvStop, close } = handle as Partial<ReadingHandle>;
  return [recvStart, recvStop, close].every((method) => typeof method === 'function') && isNumbered(handle);
}
