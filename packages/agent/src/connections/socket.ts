/**
 * A TCP socket as a conduit. Every socket of the thread reads into one preallocated buffer (`onread`), so nothing is
 * allocated for a read: whoever gets a piece uses it before returning. This is the only file that knows how.
 */
import net from 'node:net';
import type { Conduit, ConduitEvents } from './conduit.ts';

/** A full read, its frame header and a batch of small frames still fit one record of 256 KiB. */
const READ_BUFFER_BYTES = 224 * 1024;
/** Unsent bytes over which a writer is asked to stop. */
const WRITE_LIMIT = 256 * 1024;
/** Writes under way over which it is asked, too: one of a single byte costs hundreds, and a peer says how small they are. */
const WRITES_LIMIT = 1024;

/** Shared by all sockets of the thread: valid only inside the read callback. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** The parts of a socket that Node does not type, needed to move a handle to a socket that reads by `onread`. */
interface SocketInternals {
  _handle: object | null;
  _server: object | null;
  server: object | null;
}

type ReadCallback = (length: number, buffer: Uint8Array) => boolean;

/** Where `onread` delivers: named before the socket exists, aimed at its conduit after. */
class ReadTarget {
  conduit: SocketConduit | undefined;
  readonly callback: ReadCallback = (length) => this.conduit?.read(readBuffer.subarray(0, length)) ?? true;

  get options(): net.OnReadOpts {
    return { buffer: readBuffer, callback: this.callback };
  }
}

export class SocketConduit implements Conduit {
  readonly #socket: net.Socket;
  #events: ConduitEvents | undefined;
  #wantsDrain: boolean = false;
  /** Pieces given to `write` and not done yet. */
  #writes = 0;
  readonly #written = (): void => {
    this.#writes -= 1;
    if (this.#writes === 0) this.#tellDrain();
  };
  #paused: boolean = true;
  #ending: boolean = false;
  #ended: boolean = false;
  #resetting: boolean = false;
  #cause: Error | undefined;
  #closed: boolean = false;
  #closedDelivered: boolean = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#cause ??= error;
    });
    socket.on('end', () => {
      this.#ended = true;
      if (!this.#resetting) this.#events?.end();
    });
    socket.on('drain', () => this.#tellDrain());
    socket.on('close', () => {
      this.#closed = true;
      this.#deliverClosed();
    });
  }

  attach(events: ConduitEvents): void {
    if (this.#events !== undefined) throw new TypeError('a socket has one user');
    this.#events = events;
    if (this.#closed) {
      queueMicrotask(() => this.#deliverClosed());
      return;
    }
    // A user that wrote before it attached is told of room it missed.
    queueMicrotask(() => this.#tellDrain());
    this.resume();
  }

  /** For the read callback: answers whether to go on reading. */
  read(piece: Buffer): boolean {
    if (!this.#resetting) this.#events?.data(piece, false);
    return !this.#paused;
  }

  write(piece: Buffer, owned: boolean): boolean {
    if (this.#socket.destroyed || this.#ending) return true;
    // The kernel may not take all at once, and what waits has to outlive the shared buffer. A piece that is less than half
    // of its memory would keep more alive than the bound counts.
    const keeps = owned && piece.length * 2 >= piece.buffer.byteLength;
    this.#writes += 1;
    this.#socket.write(keeps ? piece : Buffer.from(piece), this.#written);
    return this.#room();
  }

  /** Writes what `produce` emits with one system call. The pieces become the socket's. */
  writeTogether(produce: (emit: (piece: Buffer) => void) => void): boolean {
    const socket = this.#socket;
    if (socket.destroyed || this.#ending) return true;
    socket.cork();
    try {
      produce((piece) => socket.write(piece));
    } finally {
      socket.uncork();
    }
    return this.#room();
  }

  /** Bytes the kernel has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  end(): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#ending = true;
    this.#socket.end();
  }

  reset(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#resetting) return;
    this.#resetting = true;
    // While the half-close is under way libuv refuses to reset (EINVAL), and Node then loses the handle without closing it.
    const shutting = this.#ending && !socket.writableFinished && socket.writableLength === 0;
    if (shutting) socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (this.#resetting) return;
    this.#paused = false;
    this.startReading(this.#socket);
  }

  /** Not `resume`: that starts reading once more in the next tick, even when it was paused again before. */
  protected startReading(socket: net.Socket): void {
    socket.read(0);
  }

  #room(): boolean {
    if (this.#socket.writableLength < WRITE_LIMIT && this.#writes < WRITES_LIMIT) return true;
    this.#wantsDrain = true;
    return false;
  }

  #tellDrain(): void {
    if (!this.#wantsDrain || this.#resetting || this.#events === undefined) return;
    if (this.#writes > 0 || this.#socket.writableLength > 0) return;
    this.#wantsDrain = false;
    this.#events.drain();
  }

  #deliverClosed(): void {
    if (this.#events === undefined || this.#closedDelivered) return;
    this.#closedDelivered = true;
    const orderly = this.#ended && this.#ending && !this.#resetting && this.#cause === undefined;
    this.#events.closed(orderly ? 'closed' : 'reset', this.#cause);
  }
}

/** A conduit over a socket that reads by 'data' events, for a Node whose inside is not what is known here. */
class PlainSocketConduit extends SocketConduit {
  constructor(socket: net.Socket) {
    super(socket);
    // Explicitly paused: else a 'data' listener would start the flow before anyone is attached.
    socket.pause();
    socket.on('data', (piece: Buffer) => this.read(piece));
  }

  protected override startReading(socket: net.Socket): void {
    socket.resume();
  }
}

/**
 * Makes a conduit of a socket accepted with `pauseOnConnect` and `allowHalfOpen`: its handle is moved to a socket that
 * reads into the shared buffer. Where Node's inside differs from what is known here, the socket is used as it is.
 */
export function socketConduit(accepted: net.Socket): SocketConduit {
  const inside = accepted as unknown as SocketInternals;
  const handle = inside._handle;
  if (handle === null || !('useUserBuffer' in handle) || typeof handle.useUserBuffer !== 'function') {
    return new PlainSocketConduit(accepted);
  }
  const target = new ReadTarget();
  const options = { handle, onread: target.options, allowHalfOpen: true, pauseOnCreate: true };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  const adopted = socket as unknown as SocketInternals;
  // The server counts its connections by these; the old wrapper must neither close the handle nor be counted.
  adopted.server = inside.server;
  adopted._server = inside._server;
  inside._server = null;
  inside.server = null;
  inside._handle = null;
  const conduit = new SocketConduit(socket);
  target.conduit = conduit;
  return conduit;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Address to come from. */
  readonly localAddress?: string;
  /** Ends the attempt; of no effect once connected. */
  readonly signal: AbortSignal;
}

export interface ConnectedConduit {
  readonly conduit: SocketConduit;
  /** Address and port of the far end. */
  readonly remote: { readonly address: string; readonly port: number };
}

/** Connects. Rejects with the system's error, or the signal's reason. */
export function connectSocket(options: ConnectOptions): Promise<ConnectedConduit> {
  const { signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(toError(signal.reason));
      return;
    }
    const target = new ReadTarget();
    const socket = new net.Socket({ allowHalfOpen: true, onread: target.options } as net.SocketConstructorOpts);
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('connect', onConnect);
    };
    const onAbort = (): void => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(toError(signal.reason));
    };
    const onError = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => {
      settle();
      socket.pause();
      const conduit = new SocketConduit(socket);
      target.conduit = conduit;
      resolve({ conduit, remote: { address: socket.remoteAddress ?? options.host, port: options.port } });
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', onConnect);
    socket.setNoDelay(true);
    const { host, port, localAddress } = options;
    socket.connect(localAddress === undefined ? { host, port } : { host, port, localAddress });
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
