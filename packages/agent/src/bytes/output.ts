/** The sending halves of sockets: what they are, and TCP's by Node's public API. */
import type net from 'node:net';

export interface OutputEvents {
  /** Nothing waits any more. */
  drained(): void;
  /** The far end takes no more. Comes once; what is written from here on is dropped. The socket goes on reading. */
  failed(cause: Error): void;
}

/**
 * Takes all it is given; the pieces are its own from then on. A failure ends writing and nothing else: a server that has
 * answered and closed may have said its last words, and they are read still.
 */
export interface Output {
  write(piece: Buffer): void;
  /** With one system call. */
  writeTogether(pieces: readonly Buffer[]): void;
  /** Bytes that the kernel has not taken. */
  readonly backlog: number;
  /** Writes that it has not taken whole: one of a single byte costs hundreds, and a peer says how small they are. */
  readonly writes: number;
  /** Half-close, after what was written. */
  end(): void;
  /** Once `end` was called: whether the half-close is under way, and waits for no writes any more. */
  readonly shutting: boolean;
}

/** The sending half of a bound UDP socket. What the kernel does not take soon is dropped, as on any full path. */
export interface DatagramOutput {
  /** Sends to where the socket is connected. The memory is not written to any more. */
  sendConnected(datagram: Buffer): void;
  /** Sends to a literal address. The memory is not written to any more. */
  send(datagram: Buffer, port: number, address: string): void;
}

/** Told of a datagram that was not sent: for want of room, or with the system's error. */
export type DatagramDropped = (cause: Error | undefined) => void;

/**
 * A piece to keep: one that is less than half of its memory would keep more alive than the bounds count. Of Node's own pool a
 * copy would lie in the pool again.
 */
export function compact(piece: Buffer): Buffer {
  const { byteLength } = piece.buffer;
  return byteLength <= Buffer.poolSize || piece.length * 2 >= byteLength ? piece : Buffer.from(piece);
}

type Written = (error?: Error | null) => void;

/** What a stream is made of, by Node's public API: its own write and writev, which tell of a failure by their callback. */
interface Writer {
  _write(chunk: unknown, encoding: BufferEncoding, callback: Written): void;
  _writev: ((chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: Written) => void) | null | undefined;
}

export class StreamOutput implements Output {
  readonly #socket: net.Socket;
  readonly #events: OutputEvents;
  #writes = 0;
  #failed: boolean = false;
  readonly #written = (): void => {
    this.#writes -= 1;
    if (!this.#failed && this.#writes === 0 && this.#socket.writableLength === 0) this.#events.drained();
  };

  constructor(socket: net.Socket, events: OutputEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('drain', () => {
      if (!this.#failed && this.#writes === 0) events.drained();
    });
    this.#keepReading(socket);
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

  writeTogether(pieces: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.write(piece);
    this.#socket.uncork();
  }

  end(): void {
    if (!this.#failed) this.#socket.end();
  }

  get shutting(): boolean {
    return this.#socket.writableLength === 0;
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
    this.#events.failed(cause);
  }
}
