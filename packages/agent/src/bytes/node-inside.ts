/**
 * The one place that reaches under Node's public API, for speed: reads without allocation on accepted sockets, writes
 * without the stream machinery, and collection of short-lived buffers. Each part looks for what it needs before it uses it
 * and answers undefined where it is not there; its user then does without. Known to be there in Node 22, 24 and 26.
 */
import type dgram from 'node:dgram';
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compact, type DatagramDropped, type DatagramOutput, type Output, type OutputEvents } from './output.ts';

/** The parts of a socket that Node does not type. */
interface SocketInternals {
  _handle: object | null;
  _server: object | null;
  server: object | null;
}

/**
 * What node:net writes to, a TCPWrap. What the kernel does not take at once waits, and with it the request: up to Node 24
 * the one that was given, from Node 26 on one that is answered.
 */
interface StreamHandle {
  /** Answers zero or a negated errno; from Node 26 on the request, if one waits. */
  writeBuffer(request: WriteRequest | null, piece: Buffer): number | WriteRequest;
  writev(request: WriteRequest | null, pieces: readonly Buffer[], allBuffers: true): number | WriteRequest;
  /** Bytes that wait. */
  readonly writeQueueSize: number | undefined;
}

/** A WriteWrap. One that waited is not used again. */
interface WriteRequest {
  /** -1 until it waits. */
  getAsyncId(): number;
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Node 26: how it ended, when it did before `oncomplete` was set. */
  writeStatus?: number | null;
  /** Keeps the memory that waits alive. */
  memory: readonly Buffer[] | Buffer | undefined;
  output: HandleOutput | undefined;
}

/** Null where the handle makes requests itself. */
type WriteRequestClass = (new () => WriteRequest) | null;

/** Moves the handle of an accepted socket to one that reads by `onread`, which only a new socket can be told to. */
export function adoptSocket(accepted: net.Socket, onread: net.OnReadOpts): net.Socket | undefined {
  const inside = accepted as unknown as SocketInternals;
  const handle = inside._handle;
  if (handle === null || !('useUserBuffer' in handle) || typeof handle.useUserBuffer !== 'function') return undefined;
  const options = { handle, onread, allowHalfOpen: true, pauseOnCreate: true };
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
  const adopted = socket as unknown as SocketInternals;
  // The server counts its connections by these; the old wrapper must neither close the handle nor be counted.
  adopted.server = inside.server;
  adopted._server = inside._server;
  inside._server = null;
  inside.server = null;
  inside._handle = null;
  return socket;
}

/** The sending half of a connected socket, straight on its handle. */
export function handleOutput(socket: net.Socket, events: OutputEvents): Output | undefined {
  const handle = (socket as unknown as SocketInternals)._handle;
  if (WriteWrap === undefined || handle === null || !isStreamHandle(handle)) return undefined;
  return new HandleOutput(socket, handle, WriteWrap, events);
}

/** Collects the young generation of this thread's heap: garbage a few milliseconds old, in well under one. */
export function youngCollector(): (() => void) | undefined {
  return collector && (() => collector({ type: 'minor' }));
}

/**
 * Collects everything in this thread's heap and gives free pages back to the system: V8 collects twice, so it takes some
 * 60 to 120 ms. Where V8 knows no flavours it collects once, and keeps the pages.
 */
export function fullCollector(): (() => void) | undefined {
  return collector && (() => collector({ type: 'major', execution: 'sync', flavor: 'last-resort' }));
}

function findCollector(): ((options: Readonly<Record<string, string>>) => void) | undefined {
  try {
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    return typeof collect === 'function' ? (options) => void collect(options) : undefined;
  } catch {
    return undefined;
  }
}

/** Found once: with it comes a context of V8. */
const collector = findCollector();

class HandleOutput implements Output {
  readonly #socket: net.Socket;
  readonly #handle: StreamHandle;
  readonly #events: OutputEvents;
  readonly #requestClass: WriteRequestClass;
  /** Serves one write after the other, for as long as the kernel takes them at once. */
  #request: WriteRequest | null;
  #waiting = 0;
  #ending: boolean = false;
  #failed: boolean = false;

  constructor(socket: net.Socket, handle: StreamHandle, requestClass: WriteRequestClass, events: OutputEvents) {
    this.#socket = socket;
    this.#handle = handle;
    this.#requestClass = requestClass;
    this.#request = this.#newRequest();
    this.#events = events;
  }

  get backlog(): number {
    return this.#waiting === 0 || this.#failed ? 0 : (this.#handle.writeQueueSize ?? 0);
  }

  get writes(): number {
    return this.#failed ? 0 : this.#waiting;
  }

  write(piece: Buffer): void {
    if (piece.length === 0 || this.#failed) return;
    this.#settle(this.#handle.writeBuffer(this.#request, piece), piece);
  }

  writeTogether(pieces: readonly Buffer[]): void {
    const [first] = pieces;
    if (this.#failed) return;
    if (pieces.length === 1 && first !== undefined) this.write(first);
    else this.#settle(this.#handle.writev(this.#request, pieces, true), pieces);
  }

  end(): void {
    this.#ending = true;
    // A shutdown that waits for the queue would keep libuv from resetting a peer that reads no more.
    if (this.#waiting === 0 && !this.#failed) this.#socket.end();
  }

  get shutting(): boolean {
    return this.#waiting === 0;
  }

  completed(status: number): void {
    this.#waiting -= 1;
    if (this.#socket.destroyed || this.#failed) return;
    if (status < 0) {
      this.#fail(status);
      return;
    }
    if (this.#waiting > 0) return;
    if (this.#ending) this.#socket.end();
    else this.#events.drained();
  }

  #fail(status: number): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#events.failed(systemError(status, 'write'));
  }

  #newRequest(): WriteRequest | null {
    return this.#requestClass === null ? null : new this.#requestClass();
  }

  #settle(answer: number | WriteRequest, memory: readonly Buffer[] | Buffer): void {
    let request: WriteRequest;
    if (typeof answer === 'number') {
      if (answer !== 0) {
        this.#fail(answer);
        return;
      }
      // Asked of the request and not of the queue, which may be empty again while the request is under way.
      if (this.#request === null || this.#request.getAsyncId() === -1) return;
      request = this.#request;
      this.#request = this.#newRequest();
    } else request = answer;
    this.#waiting += 1;
    request.memory = memory;
    request.output = this;
    request.oncomplete = completed;
    if (typeof request.writeStatus === 'number') request.oncomplete(request.writeStatus);
  }
}

function completed(this: WriteRequest, status: number): void {
  const { output } = this;
  this.memory = undefined;
  this.output = undefined;
  output?.completed(status);
}

function systemError(status: number, syscall: string): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: status, syscall });
}

function isStreamHandle(handle: object): handle is StreamHandle {
  const known = handle as Partial<StreamHandle>;
  return (
    typeof known.writeBuffer === 'function' &&
    typeof known.writev === 'function' &&
    typeof known.writeQueueSize === 'number'
  );
}

/** The class of write requests has no public name; a socket over a handle of our own shows one to it. */
function findWriteWrap(): WriteRequestClass | undefined {
  let found: WriteRequestClass | undefined;
  const handle = {
    writeBuffer(request: object | null): number {
      if (request === null) found = null;
      // A plain object would be taken for a request, and end the process.
      else if (request.constructor.name === 'WriteWrap' && 'getAsyncId' in request) {
        found = request.constructor as new () => WriteRequest;
      }
      return 0;
    },
    readStart: (): number => 0,
    readStop: (): number => 0,
    close: (): void => undefined,
  };
  try {
    const socket = new net.Socket({ handle } as unknown as net.SocketConstructorOpts);
    socket.on('error', () => undefined);
    socket.write(Buffer.alloc(1));
    socket.destroy();
  } catch {
    return undefined;
  }
  return found;
}

const WriteWrap = findWriteWrap();

/** What node:dgram sends by, a UDPWrap. */
interface DatagramHandle {
  /** The datagram's length and one when the kernel took it, zero when it waits, and the request with it, or a negated errno. */
  send(request: SendRequest, list: readonly Buffer[], count: 1, hasCallback: false): number;
  send(
    request: SendRequest,
    list: readonly Buffer[],
    count: 1,
    port: number,
    address: string,
    hasCallback: false,
  ): number;
  lookup: unknown;
}

/** A SendWrap. */
interface SendRequest {
  /** Keeps the memory that waits alive. */
  list: readonly Buffer[] | undefined;
}

type SendRequestConstructor = new () => SendRequest;

/** The sending half of a bound UDP socket, straight on its handle. */
export function datagramHandleOutput(
  socket: dgram.Socket,
  limit: number,
  dropped: DatagramDropped,
): DatagramOutput | undefined {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (state === undefined) return undefined;
  const { handle } = (socket as unknown as Record<symbol, { handle?: object | null }>)[state] ?? {};
  if (handle === undefined || handle === null || !isDatagramHandle(handle)) return undefined;
  const requestClass = findSendWrap(socket, handle);
  return requestClass === undefined
    ? undefined
    : new DatagramHandleOutput(socket, handle, requestClass, limit, dropped);
}

class DatagramHandleOutput implements DatagramOutput {
  readonly #socket: dgram.Socket;
  readonly #handle: DatagramHandle;
  readonly #requestClass: SendRequestConstructor;
  readonly #limit: number;
  readonly #dropped: DatagramDropped;
  #request: SendRequest;
  #waiting: boolean = false;

  constructor(
    socket: dgram.Socket,
    handle: DatagramHandle,
    requestClass: SendRequestConstructor,
    limit: number,
    dropped: DatagramDropped,
  ) {
    this.#socket = socket;
    this.#handle = handle;
    this.#requestClass = requestClass;
    this.#limit = limit;
    this.#dropped = dropped;
    this.#request = new requestClass();
  }

  sendConnected(datagram: Buffer): void {
    if (this.#dropsFull()) return;
    const list = [compact(datagram)];
    this.#settle(this.#handle.send(this.#request, list, 1, false), list);
  }

  send(datagram: Buffer, port: number, address: string): void {
    if (this.#dropsFull()) return;
    const list = [compact(datagram)];
    this.#settle(this.#handle.send(this.#request, list, 1, port, address, false), list);
  }

  /** Whether the datagram was dropped for want of room. */
  #dropsFull(): boolean {
    if (!this.#waiting || this.#socket.getSendQueueSize() <= this.#limit) return false;
    this.#dropped(undefined);
    return true;
  }

  #settle(status: number, list: readonly Buffer[]): void {
    // The kernel took it, so nothing waits.
    if (status > 0) this.#waiting = false;
    else if (status < 0) this.#dropped(systemError(status, 'send'));
    else {
      this.#waiting = true;
      this.#request.list = list;
      this.#request = new this.#requestClass();
    }
  }
}

function isDatagramHandle(handle: object): handle is DatagramHandle {
  const known = handle as Partial<DatagramHandle>;
  return typeof known.send === 'function' && typeof known.lookup === 'function';
}

/** As with WriteWrap: the socket shows one to a handle whose `send` is ours for the moment. */
function findSendWrap(socket: dgram.Socket, handle: DatagramHandle): SendRequestConstructor | undefined {
  let found: SendRequestConstructor | undefined;
  const own = Object.getOwnPropertyDescriptors(handle);
  const spy = (request: object): number => {
    if (request.constructor.name === 'SendWrap') found = request.constructor as SendRequestConstructor;
    return 1;
  };
  Object.defineProperty(handle, 'send', { value: spy, configurable: true, writable: true });
  handle.lookup = (address: string, callback: (error: null, address: string) => void) => callback(null, address);
  try {
    if (isConnected(socket)) socket.send(Buffer.alloc(1));
    else socket.send(Buffer.alloc(1), 9, '127.0.0.1');
  } catch {
    found = undefined;
  } finally {
    handle.lookup = own.lookup.value;
    if (own.send === undefined) Reflect.deleteProperty(handle, 'send');
    else Object.defineProperty(handle, 'send', own.send);
  }
  return found;
}

function isConnected(socket: dgram.Socket): boolean {
  try {
    return socket.remoteAddress() !== undefined;
  } catch {
    return false;
  }
}
