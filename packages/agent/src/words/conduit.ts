/**
 * A conduit is one end of a byte stream with half-close, reset and backpressure both ways: a socket or a stream in a
 * tunnel. The splice knows nothing else, so every path through the agent moves bytes by the same code. A datagram conduit is
 * the same of a UDP flow.
 */

/** What a conduit tells its one user. Calls come in order; `closed` is the last and comes exactly once. */
export interface ConduitEvents {
  /**
   * Bytes arrived. `owned` says whether the piece may be kept after the call returns; when false it lies in a read
   * buffer that the next read overwrites.
   */
  data(piece: Buffer, owned: boolean): void;
  /** The far end will send no more; the other direction stays open. */
  end(): void;
  /** A `write` had answered false; now there is room again. */
  drain(): void;
  /** Both directions are over. `reset` when it ended by anything but two orderly closes. */
  closed(how: 'closed' | 'reset', cause?: Error): void;
}

export interface Conduit {
  /** Names the events' receiver. Nothing is read before. */
  attach(events: ConduitEvents): void;
  /**
   * Takes all bytes of the piece, always. Answers false when the caller should stop until `drain`. When `owned` is
   * false the bytes are copied, sealed or sent before it returns.
   */
  write(piece: Buffer, owned: boolean): boolean;
  /** No more will be written: half-close, after what was written. */
  end(): void;
  /** Ends both directions at once; what is unsent is dropped, and the far end sees a reset. */
  reset(): void;
  /** As `reset`, once what was written has left. What is written from here on is dropped. The caller bounds how long. */
  resetWhenWritten(): void;
  /** Stops and restarts the flow of `data`, and with it the far writer. */
  pause(): void;
  resume(): void;
}

/** Of a program of this host. */
export interface CallerConduit extends Conduit {
  /**
   * Whether the kernel has both its ends still, asked now: while it has, nobody else can be at the caller's address and port. False once it was reset,
   * though what came before that is still to be read. A Node that shows no handles tells what it knew when the connection came.
   */
  readonly connected: boolean;
}

/** What a tunnel runs over: a socket, or a stream of another tunnel. */
export interface WireConduit extends Conduit {
  /** Writes what `produce` emits, as one where it can. Pieces are owned as in `write`. */
  writeTogether(produce: (emit: (piece: Buffer, owned: boolean) => void) => void): boolean;
  /** Of this host, where it has one. */
  readonly localAddress: string | undefined;
  /** HOST:PORT of the far end, where it has one. */
  readonly remoteAddress: string | undefined;
  /** Bytes that were written and have not left. */
  readonly backlog: number;
  /** Pieces they are in. Each costs memory beside its bytes. */
  readonly writes: number;
}

/** A UDP flow in a tunnel: datagrams keep their boundaries, and may be lost, as on any path. */
export interface DatagramConduit {
  /**
   * Whether the host at the far end leaves unanswered what would show that it is there; it is asked, for whoever comes again. Of a
   * program here there is no doubt.
   */
  silent?(): boolean;
  attach(events: DatagramEvents): void;
  /** Sends one datagram of 0 to 65,507 bytes. Drops it, and counts, when the path is full. Its bytes are lent: what waits is copied. */
  send(payload: Buffer): void;
  /** Ends the flow at both ends. */
  close(): void;
}

export interface DatagramEvents {
  /** The payload is lent: whoever keeps it copies it before this returns. */
  datagram(payload: Buffer): void;
  /** The flow is over; comes exactly once. `cause` when the tunnel ended under it. */
  closed(cause?: Error): void;
}
