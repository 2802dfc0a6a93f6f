/** A connection by Node's public API: for a Node whose inside is not what is known here. */
import type net from 'node:net';
import { copyOfLent } from '../words/passing-memory.ts';
import { hasPeer } from './inside/known.ts';
import { HIDES_RESETS, type SocketPlace, type Transport, type TransportEvents } from './transport.ts';

const NOTHING = Buffer.alloc(0);

type Written = (error?: Error | null) => void;

/** What a stream is made of: its own write and writev, which tell of a failure by their callback. */
interface Writer {
  _write(chunk: unknown, encoding: BufferEncoding, callback: Written): void;
  _writev: ((chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Written) => void) | null | undefined;
}

export class NetTransport implements Transport {
  readonly #socket: net.Socket;
  #user: TransportEvents | undefined;
  #writes = 0;
  #ending: boolean = false;
  #failed: boolean = false;
  readonly #written = (): void => {
    this.#writes -= 1;
    this.#lookDrained();
  };

  /** A socket that is connected, has `allowHalfOpen`, and has not been read. */
  constructor(socket: net.Socket) {
    this.#socket = socket;
    // Explicitly paused: else a 'data' listener would start the flow before anyone is attached.
    socket.pause();
    this.#keepReading(socket);
  }

  attach(user: TransportEvents): void {
    this.#user = user;
    const socket = this.#socket;
    let cause: Error | undefined;
    socket.on('data', (piece: Buffer) => void user.read(piece, false));
    socket.on('end', () => this.#ended(user));
    socket.on('drain', () => this.#lookDrained());
    socket.on('error', (error) => {
      cause ??= error;
    });
    socket.on('close', () => user.closed(cause));
  }

  get backlog(): number {
    return this.#failed ? 0 : this.#socket.writableLength;
  }

  get writes(): number {
    return this.#failed ? 0 : this.#writes;
  }

  write(piece: Buffer): void {
    if (this.#failed) return;
    this.#writes += 1;
    this.#socket.write(piece, this.#written);
  }

  writeBorrowed(piece: Buffer): void {
    this.write(copyOfLent(piece));
  }

  writeTogether(pieces: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.write(piece);
    this.#socket.uncork();
  }

  end(): void {
    if (this.#failed) return;
    this.#ending = true;
    this.#socket.end();
  }

  startReading(): void {
    this.#socket.resume();
  }

  stopReading(): void {
    this.#socket.pause();
  }

  reset(): void {
    resetSocket(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get over(): boolean {
    return this.#socket.destroyed;
  }

  get local(): SocketPlace | undefined {
    const { localAddress: address, localPort: port, destroyed } = this.#socket;
    return destroyed || address === undefined || port === undefined ? undefined : { address, port };
  }

  get remote(): SocketPlace | undefined {
    const { remoteAddress: address, remotePort: port, destroyed } = this.#socket;
    // Node asks the kernel once, and says the same ever after.
    if (destroyed || address === undefined || port === undefined || !hasPeer(this.#socket)) return undefined;
    return { address, port };
  }

  /** What may hide a reset is looked into, where all that was written has left: the system tells it to a write, of nothing too. */
  #ended(user: TransportEvents): void {
    const socket = this.#socket;
    const asks = HIDES_RESETS && !this.#ending && !this.#failed && socket.writableLength === 0;
    if (!asks) {
      user.ended();
      return;
    }
    socket.write(NOTHING, () => {
      if (!socket.destroyed) user.ended();
    });
  }

  #lookDrained(): void {
    if (!this.#failed && this.#writes === 0 && this.#socket.writableLength === 0) this.#user?.drained();
  }

  /** A stream whose write fails destroys itself, unread bytes and all; so it does not hear of it. */
  #keepReading(socket: net.Socket): void {
    const writer = socket as unknown as Writer;
    const { _write: write, _writev: writev } = writer;
    const hushed =
      (callback: Written): Written =>
      (error) => {
        if (error instanceof Error) this.#fail(error);
        callback();
      };
    writer._write = (chunk, encoding, callback) => {
      if (this.#failed) callback();
      else write.call(socket, chunk, encoding, hushed(callback));
    };
    if (typeof writev !== 'function') return;
    writer._writev = (chunks, callback) => {
      if (this.#failed) callback();
      else writev.call(socket, chunks, hushed(callback));
    };
  }

  #fail(cause: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#user?.failed(cause);
  }
}

/** While a half-close is under way libuv refuses to reset (EINVAL), and Node then loses the handle without closing it. */
export function resetSocket(socket: net.Socket): void {
  const shutting = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (shutting) socket.once('finish', () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}
