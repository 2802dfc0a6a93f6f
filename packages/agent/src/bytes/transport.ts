/** What a conduit of TCP runs over, both halves of one connection: its handle, or a socket of Node's public API. */

/** Up to 1.51 libuv tells a hang-up behind a read that was not full as an orderly end, without a look at what it is. */
export const HIDES_RESETS: boolean = /^1\.([0-9]|[1-4]\d|5[01])\./.test(process.versions.uv);

export interface TransportEvents {
  /** A piece that lies in memory which the next read overwrites. `full`: as much as one read can bring. Answers whether to read on. */
  read(piece: Buffer, full: boolean): boolean;
  /** The far end sends no more. */
  ended(): void;
  /** Nothing that was written waits any more. */
  drained(): void;
  /** The far end takes no more. Comes once; what is written from here on is dropped. Reading goes on. */
  failed(cause: Error): void;
  /** Both halves are over: the last that is told, and not from within a call. */
  closed(cause: Error | undefined): void;
}

/**
 * Takes all it is given; the pieces are its own from then on. A write that fails ends writing and nothing else: a server that
 * has answered and closed may have said its last words, and they are read still. Once both ends have said all, it closes.
 */
export interface Transport {
  /** To be called once, before anything else. */
  attach(user: TransportEvents): void;
  write(piece: Buffer): void;
  /** As `write`, of memory that is used again when it returns: what waits is copied. */
  writeBorrowed(piece: Buffer): void;
  /** With one system call. */
  writeTogether(pieces: readonly Buffer[]): void;
  /** Bytes that the kernel has not taken. */
  readonly backlog: number;
  /** Writes that it has not taken whole: one of a single byte costs hundreds, and a peer says how small they are. */
  readonly writes: number;
  /** Half-close, after what was written. */
  end(): void;
  /** Nothing is read before the first. */
  startReading(): void;
  stopReading(): void;
  /** Ends both halves with a reset, behind a half-close that is under way. */
  reset(): void;
  /** Ends both halves. */
  destroy(): void;
  /** Whether it was ended, or ended by itself. */
  readonly over: boolean;
  /** Of this host. Undefined once it is over. */
  readonly local: SocketPlace | undefined;
  /** Of the far end, by the kernel's word of now. Undefined once it is over or was reset, which may be before that is told. */
  readonly remote: SocketPlace | undefined;
}

export interface SocketPlace {
  readonly address: string;
  readonly port: number;
}

/** One that was made. */
export interface Connection {
  readonly transport: Transport;
  /** In this process; undefined where it is not known. */
  readonly descriptor: number | undefined;
}
