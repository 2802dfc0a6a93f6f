/** A TCP connection as a conduit, and the ways to one: a handle where Node's inside is as known, else a socket of its public API. */
import net from 'node:net';
import { defined, formatHostPort, plainAddress } from '@weft/proto';
import type { CallerConduit, ConduitEvents, WireConduit } from '../words/conduit.ts';
import { copyApart } from '../words/passing-memory.ts';
import type { Deadline } from './deadline.ts';
import { adoptSocket } from './inside/adopt.ts';
import { connectHandle } from './inside/handle-connections.ts';
import { handleTransport, isTcpHandle } from './inside/handle-transport.ts';
import { boundUnsent, descriptorOf, keepUrgent } from './inside/known.ts';
import { NetTransport } from './net-transport.ts';
import { type OpenFiles, outOfFiles } from './open-files.ts';
import type { Connection, SocketPlace, Transport, TransportEvents } from './transport.ts';

/** Unsent bytes over which a writer is asked to stop. */
const WRITE_LIMIT = 256 * 1024;
/** Writes under way over which it is asked, too. */
const WRITES_LIMIT = 1024;

/** Milliseconds without a byte read after which a socket that cannot be written is given up. */
const DEAF_MS = 5_000;

export class SocketConduit implements WireConduit, CallerConduit, TransportEvents {
  readonly #transport: Transport;
  readonly #over: (() => void) | undefined;
  #events: ConduitEvents | undefined;
  #wantsDrain: boolean = false;
  #paused: boolean = true;
  #ending: boolean = false;
  #ended: boolean = false;
  #resetting: boolean = false;
  #cause: Error | undefined;
  /** Writing failed: what is left to read is read, and then it is over. Runs while nothing is. */
  #deaf: NodeJS.Timeout | undefined;
  #resetsWhenWritten: boolean = false;
  #closed: boolean = false;
  #closedDelivered: boolean = false;

  /** `over` is called once it is, whether somebody uses it or not. */
  constructor(transport: Transport, over?: () => void) {
    this.#transport = transport;
    this.#over = over;
    transport.attach(this);
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

  /**
   * Of the transport. After a full piece the others of the loop have their turn: libuv alone would make 32 in a row, seven
   * megabytes of a bulk copy, behind which every message of other flows waits at every agent on its way.
   */
  read(piece: Buffer, full: boolean): boolean {
    this.#deaf?.refresh();
    if (!this.#resetting) this.#events?.data(piece, false);
    if (!this.#paused && full) setImmediate(readOn, this);
    return !this.#paused && !full;
  }

  /** Goes on behind a full piece. */
  readOn(): void {
    if (!this.#paused) this.#transport.startReading();
  }

  ended(): void {
    this.#ended = true;
    // Behind a failed write an end is no orderly one: the system told the reset to the write, and tells it once.
    if (this.#deaf !== undefined) this.#transport.destroy();
    else if (!this.#resetting) this.#events?.end();
  }

  drained(): void {
    if (this.#resetsWhenWritten) this.reset();
    else this.#tellDrain();
  }

  failed(cause: Error): void {
    // Our own end of it cancels what waits.
    if (this.#resetting || this.#transport.over) return;
    this.#cause ??= cause;
    if (this.#resetsWhenWritten) {
      this.reset();
      return;
    }
    this.#deaf = setTimeout(() => this.#transport.destroy(), DEAF_MS).unref();
    // Whoever waits for room may go on: what it writes is dropped. Not at once, for it may be what fails now, in the midst of a record.
    queueMicrotask(() => this.#tellDrain());
    if (this.#ended) this.#transport.destroy();
  }

  closed(cause: Error | undefined): void {
    this.#closed = true;
    this.#cause ??= cause;
    clearTimeout(this.#deaf);
    this.#over?.();
    this.#deliverClosed();
  }

  write(piece: Buffer, owned: boolean): boolean {
    if (this.#isDropped()) return true;
    // One piece a socket may keep more alive than itself: the first that waits.
    if (!owned) this.#transport.writeBorrowed(piece);
    else this.#transport.write(this.#transport.writes === 0 ? piece : compact(piece));
    return this.#room();
  }

  /** With one system call, what is owned. */
  writeTogether(produce: (emit: (piece: Buffer, owned: boolean) => void) => void): boolean {
    if (this.#isDropped()) return true;
    const pieces: Buffer[] = [];
    produce((piece, owned) => {
      if (owned) {
        pieces.push(piece);
        return;
      }
      if (pieces.length > 0) this.#transport.writeTogether(pieces.splice(0));
      this.#transport.writeBorrowed(piece);
    });
    if (pieces.length > 0) this.#transport.writeTogether(pieces);
    return this.#room();
  }

  get localAddress(): string | undefined {
    const { local } = this.#transport;
    return local === undefined ? undefined : plainAddress(local.address);
  }

  get remoteAddress(): string | undefined {
    const { remote } = this.#transport;
    return remote === undefined ? undefined : formatHostPort(plainAddress(remote.address), remote.port);
  }

  get connected(): boolean {
    return this.#transport.remote !== undefined;
  }

  get backlog(): number {
    return this.#transport.backlog;
  }

  get writes(): number {
    return this.#transport.writes;
  }

  end(): void {
    if (this.#ending || this.#transport.over) return;
    this.#ending = true;
    this.#transport.end();
  }

  reset(): void {
    if (this.#resetting || this.#transport.over) return;
    this.#resetting = true;
    this.#transport.reset();
  }

  resetWhenWritten(): void {
    if (this.#transport.writes === 0) this.reset();
    else this.#resetsWhenWritten = true;
  }

  pause(): void {
    this.#paused = true;
    this.#transport.stopReading();
  }

  resume(): void {
    if (this.#resetting) return;
    this.#paused = false;
    this.#transport.startReading();
  }

  #isDropped(): boolean {
    return this.#ending || this.#resetsWhenWritten || this.#transport.over;
  }

  #room(): boolean {
    const { backlog, writes } = this.#transport;
    if (backlog < WRITE_LIMIT && writes < WRITES_LIMIT) return true;
    this.#wantsDrain = true;
    return false;
  }

  #tellDrain(): void {
    if (!this.#wantsDrain || this.#resetting || this.#events === undefined || this.#transport.writes > 0) return;
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

/**
 * A piece to keep: one that is less than half of its memory would keep more alive than the bounds count, be that Node's own pool, which has
 * 64 KiB from Node 26 on.
 */
function compact(piece: Buffer): Buffer {
  return piece.length * 2 >= piece.buffer.byteLength ? piece : copyApart(piece);
}

function readOn(conduit: SocketConduit): void {
  conduit.readOn();
}

/** Of a connection that another process made and handed over. `over` is called once it is, whether somebody uses it or not. */
export function handedConduit(handle: object, over: () => void): SocketConduit {
  const transport = transportOfHandle(handle);
  if (isTcpHandle(handle)) handle.setNoDelay(true);
  return new SocketConduit(transport, over);
}

/** Of a handle that is connected, and whose from then on it is alone. */
export function transportOfHandle(handle: object): Transport {
  const transport = handleTransport(handle);
  if (transport !== undefined) return transport;
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true };
  return new NetTransport(new net.Socket(options as unknown as net.SocketConstructorOpts).setNoDelay(true));
}

/** Of a connected socket with `allowHalfOpen` that has not been read. */
export function transportOf(socket: net.Socket): Transport {
  return adoptSocket(socket) ?? new NetTransport(socket);
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
  /** The far end is a program, which may send urgent bytes: those stay in their place. */
  readonly keepsUrgent?: boolean;
  /** What is small is to overtake what is not: little waits unsent in the kernel. */
  readonly boundsUnsent?: boolean;
  /** Ends the attempt; of no effect once connected. */
  readonly deadline: Deadline;
  /** A connection that leaves too few of them is given up as if there were none. */
  readonly files?: Pick<OpenFiles, 'spares'>;
}

export interface ConnectedConduit {
  readonly conduit: SocketConduit;
  /** Address and port of the far end. */
  readonly remote: SocketPlace;
}

/** Connects. Rejects with the system's error, or the deadline's reason. */
export function connectSocket(options: ConnectOptions): Promise<ConnectedConduit> {
  const { deadline, host, port, files, keepsUrgent, boundsUnsent } = options;
  return new Promise((resolve, reject) => {
    deadline.throwIfOver();
    const family = net.isIP(host);
    let abandon: () => void = () => undefined;
    const onEnd = (reason: Error): void => {
      abandon();
      reject(reason);
    };
    const connected = (result: Connection | Error): void => {
      deadline.off(onEnd);
      if (result instanceof Error) reject(result);
      else if (files?.spares(result.descriptor) === false) {
        result.transport.destroy();
        reject(outOfFiles('connect'));
      } else {
        // Nothing has been read: what came before this keeps its place as well.
        if (keepsUrgent === true) keepUrgent(result.descriptor);
        if (boundsUnsent === true) boundUnsent(result.descriptor);
        // As the system spells it, with the zone that it found, where there is more than one way. Unknown once it was reset.
        const spelt = family === 4 && host !== '0.0.0.0' ? undefined : result.transport.remote;
        const remote = spelt ?? { address: host, port };
        resolve({ conduit: new SocketConduit(result.transport), remote });
      }
    };
    deadline.onEnd(onEnd);
    abandon = (family > 0 ? connectHandle(options, connected) : undefined) ?? connectByNode(options, connected);
  });
}

/** To a name, or where Node's inside is not as known. Answers how to abandon it. */
function connectByNode(options: ConnectOptions, connected: (result: Connection | Error) => void): () => void {
  const socket = new net.Socket({ allowHalfOpen: true });
  const { host, port, localAddress, localPort, lookup } = options;
  const onError = (error: Error): void => {
    socket.destroy();
    connected(error);
  };
  const onConnect = (): void => {
    socket.off('error', onError);
    socket.pause();
    const descriptor = descriptorOf(socket);
    connected({ transport: transportOf(socket), descriptor });
  };
  socket.once('error', onError);
  socket.once('connect', onConnect);
  socket.setNoDelay(true);
  try {
    socket.connect({ host, port, ...defined({ localAddress, localPort, lookup }) });
  } catch (error) {
    // Over a port that is none, when it has its handle already.
    onError(error as Error);
  }
  return () => {
    socket.off('connect', onConnect);
    socket.off('error', onError);
    socket.on('error', () => undefined);
    socket.destroy();
  };
}
