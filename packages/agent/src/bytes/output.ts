/** The sending halves of sockets: what they are, and TCP's by Node's public API. */
import type net from 'node:net';

export interface OutputEvents {
  /** Nothing waits any more. */
  drained(): void;
}

/** Takes all it is given; the pieces are its own from then on. A failure destroys the socket. */
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

export class StreamOutput implements Output {
  readonly #socket: net.Socket;
  readonly #events: OutputEvents;
  #writes = 0;
  readonly #written = (): void => {
    this.#writes -= 1;
    if (this.#writes === 0 && this.#socket.writableLength === 0) this.#events.drained();
  };

  constructor(socket: net.Socket, events: OutputEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('drain', () => {
      if (this.#writes === 0) events.drained();
    });
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  get writes(): number {
    return this.#writes;
  }

  write(piece: Buffer): void {
    this.#writes += 1;
    this.#socket.write(piece, this.#written);
  }

  writeTogether(pieces: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.write(piece);
    this.#socket.uncork();
  }

  end(): void {
    this.#socket.end();
  }

  get shutting(): boolean {
    return this.#socket.writableLength === 0;
  }
}
