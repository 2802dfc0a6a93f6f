/**
 * A TCP socket as a conduit. Every socket of the thread reads into one preallocated buffer (`onread`), so nothing is
 * allocated for a read: whoever gets a piece uses it before returning.
 */

import net from 'node:net';
import { defined, formatHostPort, plainAddress } from '@weft/proto';
import type { ConduitEvents, WireConduit } from '../words/conduit.ts';
import type { Deadline } from './deadline.ts';
import { socketOver } from './inside/accept.ts';
import { adoptSocket } from './inside/adopt.ts';
import { descriptorOf } from './inside/known.ts';
import { handleOutput } from './inside/stream-output.ts';
import { type OpenFiles, outOfFiles } from './open-files.ts';
import { compact, type Output, StreamOutput } from './output.ts';

/** A full read, its frame header and a batch of small frames still fit one record of 256 KiB. */
const READ_BUFFER_BYTES = 224 * 1024;
/** Unsent bytes over which a writer is asked to stop. */
const WRITE_LIMIT = 256 * 1024;
/** Writes under way over which it is asked, too. */
const WRITES_LIMIT = 1024;

/** Milliseconds without a byte read after which a socket that cannot be written is given up. */
const DEAF_MS = 5_000;

/** Shared by all sockets of the thread: valid only inside the read callback. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

type ReadCallback = (length: number, buffer: Uint8Array) => boolean;

/** Where `onread` delivers: named before the socket exists, aimed at its conduit after. */
class ReadTarget {
  #conduit: SocketConduit | undefined;
  readonly callback: ReadCallback = (length) => this.#conduit?.readShared(length) ?? true;

  get options(): net.OnReadOpts {
    return { buffer: readBuffer, callback: this.callback };
  }

  /** The conduit of the socket that was made with the options. */
  conduitOf(socket: net.Socket): SocketConduit {
    this.#conduit = new SocketConduit(socket);
    return this.#conduit;
  }
}

export class SocketConduit implements WireConduit {
  readonly #socket: net.Socket;
  readonly #output: Output;
  #events: ConduitEvents | undefined;
  #wantsDrain: boolean = false;
  #paused: boolean = true;
  readonly #readOn = (): void => {
    if (!this.#paused && !this.#socket.destroyed) this.startReading(this.#socket);
  };
  #ending: boolean = false;
  #ended: boolean = false;
  #resetting: boolean = false;
  #cause: Error | undefined;
  /** Writing failed: what is left to read is read, and then it is over. */
  #deaf: boolean = false;
  #resetsWhenWritten: boolean = false;
  #closed: boolean = false;
  #closedDelivered: boolean = false;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    const events = { drained: () => this.#drained(), failed: (cause: Error) => this.#failed(cause) };
    this.#output = handleOutput(socket, events) ?? new StreamOutput(socket, events);
    socket.on('error', (error) => {
      this.#cause ??= error;
    });
    socket.on('end', () => {
      this.#ended = true;
      // Behind a failed write an end is no orderly one: the system told the reset to the write, and tells it once.
      if (this.#deaf) this.#socket.destroy();
      else if (!this.#resetting) this.#events?.end();
    });
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

  /**
   * As `read`, of the shared buffer. After a full one the others of the loop have their turn: libuv alone would make 32 in a
   * row, seven megabytes of a bulk copy, behind which every message of other flows waits at every agent on its way.
   */
  readShared(length: number): boolean {
    const more = this.read(readBuffer.subarray(0, length));
    if (!more || length < READ_BUFFER_BYTES) return more;
    setImmediate(this.#readOn);
    return false;
  }

  write(piece: Buffer, owned: boolean): boolean {
    if (this.#socket.destroyed || this.#ending || this.#resetsWhenWritten) return true;
    // The kernel may not take all at once, and what waits has to outlive the shared buffer. One piece a socket may keep
    // more alive than itself: the first that waits.
    if (!owned) this.#output.write(Buffer.from(piece));
    else this.#output.write(this.#output.writes === 0 ? piece : compact(piece));
    return this.#room();
  }

  /** With one system call. */
  writeTogether(produce: (emit: (piece: Buffer) => void) => void): boolean {
    if (this.#socket.destroyed || this.#ending || this.#resetsWhenWritten) return true;
    const pieces: Buffer[] = [];
    produce((piece) => pieces.push(piece));
    this.#output.writeTogether(pieces);
    return this.#room();
  }

  get localAddress(): string | undefined {
    const { localAddress } = this.#socket;
    return localAddress === undefined ? undefined : plainAddress(localAddress);
  }

  get remoteAddress(): string | undefined {
    const { remoteAddress, remotePort = 0 } = this.#socket;
    return remoteAddress === undefined ? undefined : formatHostPort(plainAddress(remoteAddress), remotePort);
  }

  get backlog(): number {
    return this.#output.backlog;
  }

  get writes(): number {
    return this.#output.writes;
  }

  end(): void {
    if (this.#ending || this.#socket.destroyed) return;
    this.#ending = true;
    this.#output.end();
  }

  reset(): void {
    const socket = this.#socket;
    if (socket.destroyed || this.#resetting) return;
    this.#resetting = true;
    // While the half-close is under way libuv refuses to reset (EINVAL), and Node then loses the handle without closing it.
    const shutting = this.#ending && !socket.writableFinished && this.#output.shutting;
    if (shutting) socket.once('finish', () => socket.resetAndDestroy());
    else socket.resetAndDestroy();
  }

  resetWhenWritten(): void {
    if (this.#output.writes === 0) this.reset();
    else this.#resetsWhenWritten = true;
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
    const { backlog, writes } = this.#output;
    if (backlog < WRITE_LIMIT && writes < WRITES_LIMIT) return true;
    this.#wantsDrain = true;
    return false;
  }

  #drained(): void {
    if (this.#resetsWhenWritten) this.reset();
    else this.#tellDrain();
  }

  #failed(cause: Error): void {
    // Our own end of it cancels what waits.
    if (this.#resetting || this.#socket.destroyed) return;
    this.#cause ??= cause;
    this.#deaf = true;
    if (this.#resetsWhenWritten) {
      this.reset();
      return;
    }
    // Whoever waits for room may go on: what it writes is dropped.
    this.#tellDrain();
    if (this.#ended) this.#socket.destroy();
    else this.#socket.setTimeout(DEAF_MS, () => this.#socket.destroy());
  }

  #tellDrain(): void {
    if (!this.#wantsDrain || this.#resetting || this.#events === undefined || this.#output.writes > 0) return;
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
  const target = new ReadTarget();
  const socket = adoptSocket(accepted, target.options);
  return socket === undefined ? new PlainSocketConduit(accepted) : target.conduitOf(socket);
}

/** As `socketConduit`, of a connection whose handle no socket has yet. Undefined where none can be made that reads so. */
export function acceptedConduit(handle: object): { socket: net.Socket; conduit: SocketConduit } | undefined {
  const target = new ReadTarget();
  const socket = socketOver(handle, target.options);
  if (socket === undefined) return undefined;
  socket.setNoDelay(true);
  return { socket, conduit: target.conduitOf(socket) };
}

/** Of a connection that another process made and handed over. */
export function handedConduit(handle: object, closed?: () => void): SocketConduit {
  const target = new ReadTarget();
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: target.options };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  socket.setNoDelay(true);
  if (closed !== undefined) socket.once('close', closed);
  return target.conduitOf(socket);
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Address to come from. */
  readonly localAddress?: string;
  /** Port to come from; left to the system when not given. */
  readonly localPort?: number;
  /** How a name is resolved; the system's way when not given. */
  readonly lookup?: net.LookupFunction;
  /** Ends the attempt; of no effect once connected. */
  readonly deadline: Deadline;
  /** A connection that leaves too few of them is given up as if there were none. */
  readonly files?: Pick<OpenFiles, 'spares'>;
}

export interface ConnectedConduit {
  readonly conduit: SocketConduit;
  /** Address and port of the far end. */
  readonly remote: { readonly address: string; readonly port: number };
}

/** Connects. Rejects with the system's error, or the deadline's reason. */
export function connectSocket(options: ConnectOptions): Promise<ConnectedConduit> {
  const { deadline } = options;
  return new Promise((resolve, reject) => {
    deadline.throwIfOver();
    const target = new ReadTarget();
    const socket = new net.Socket({ allowHalfOpen: true, onread: target.options } as net.SocketConstructorOpts);
    const settle = (): void => {
      deadline.off(onEnd);
      socket.off('error', onError);
      socket.off('connect', onConnect);
    };
    const onEnd = (reason: Error): void => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(reason);
    };
    const onError = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onConnect = (): void => {
      if (options.files?.spares(descriptorOf(socket)) === false) {
        onError(outOfFiles('connect'));
        return;
      }
      settle();
      socket.pause();
      resolve({
        conduit: target.conduitOf(socket),
        remote: { address: socket.remoteAddress ?? options.host, port: options.port },
      });
    };
    deadline.onEnd(onEnd);
    socket.once('error', onError);
    socket.once('connect', onConnect);
    socket.setNoDelay(true);
    const { host, port, localAddress, localPort, lookup } = options;
    const from = localAddress === undefined ? {} : { localAddress };
    socket.connect({ host, port, ...from, ...defined({ localPort, lookup }) });
  });
}
