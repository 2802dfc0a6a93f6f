/**
 * A connection on its handle, without the socket and the streams that Node makes of one. Every one of the thread reads into
 * one preallocated buffer, so nothing is allocated for a read; a write that the kernel takes at once, which is nearly each, is one call.
 */
import { constants } from 'node:os';
import { copyApart, free } from '../../words/passing-memory.ts';
import { HIDES_RESETS, type SocketPlace, type Transport, type TransportEvents } from '../transport.ts';
import { isInsideKnown, nativeCalls, shownDescriptor, systemError } from './known.ts';
import { found, type TcpHandle, type TcpInside, type WriteRequest } from './tcp-inside.ts';

/** A full read, its frame header and a batch of small frames still fit one record of 256 KiB. */
const READ_BUFFER_BYTES = 224 * 1024;
/** Libuv's own number for the end of a stream. */
const UV_EOF = -4_095;
/** Up to here a copy and Node's own write cost less than a call past it. */
const COPY_LIMIT = 4096;
const NOT_CONNECTED = -constants.errno.ENOTCONN;
/** What send(2) answers where the bytes can only wait. */
const FULL: ReadonlySet<number> = new Set([-constants.errno.EAGAIN, -constants.errno.ENOBUFS]);

/** Shared by all of the thread: valid only inside the read callback. Handles keep no reference to it. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** Where what is lent and small is written from: all of the thread, as long as the kernel takes it at once. */
let copies = Buffer.allocUnsafeSlow(COPY_LIMIT);

/**
 * Handles live until they are closed, whoever refers to them, and what they name with them. To V8's young collections they live on behind that, so
 * they name nobody then: else all of each connection that was would become old memory.
 */
interface OwnedHandle extends TcpHandle {
  transport: HandleTransport | undefined;
}

interface WaitingWrite extends WriteRequest {
  transport: HandleTransport;
  /** Kept alive until it has left. */
  memory: readonly Buffer[] | Buffer | undefined;
  /** To be freed then. */
  copy: Buffer<ArrayBuffer> | undefined;
}

/** Serves the writes of all, one after the other, for as long as the kernel takes them at once. */
let spare: WriteRequest | null | undefined;

/** Undefined where this Node has it otherwise, or was found to do something else. */
export function tcpInside(): TcpInside | undefined {
  return isInsideKnown() ? found : undefined;
}

/** Whether it is a connection, or what listens for some, as it is known. */
export function isTcpHandle(handle: object | undefined): handle is TcpHandle {
  return found !== undefined && handle instanceof found.TCP;
}

/** Of the write just asked for: zero, or a negated errno where it failed at once, and its request is never completed. */
export function failureOf(
  answer: number | WriteRequest,
  { state, failedAt }: Pick<TcpInside, 'state' | 'failedAt'>,
): number {
  if (typeof answer === 'number') return answer;
  return failedAt === undefined ? 0 : (state[failedAt] ?? 0);
}

/** Of a handle that is connected, and whose from then on it is alone. Undefined where Node's inside is not as known. */
export function handleTransport(handle: object): Transport | undefined {
  const inside = tcpInside();
  if (inside === undefined || !isTcpHandle(handle)) return undefined;
  return new HandleTransport(handle, inside);
}

export class HandleTransport implements Transport {
  readonly #handle: TcpHandle;
  readonly #inside: TcpInside;
  #user: TransportEvents | undefined;
  #reading: boolean = false;
  /** The far end has said all. */
  #ended: boolean = false;
  /** It was asked again whether that is an end. */
  #endLooked: boolean = false;
  /** Writes that wait. */
  #waiting = 0;
  #failed: boolean = false;
  #ending: boolean = false;
  #shutting: boolean = false;
  #shut: boolean = false;
  #resetsWhenShut: boolean = false;
  #over: boolean = false;
  #cause: Error | undefined;

  constructor(handle: TcpHandle, inside: TcpInside) {
    this.#handle = handle;
    this.#inside = inside;
    (handle as OwnedHandle).transport = this;
    handle.onread = onRead;
    handle.useUserBuffer(readBuffer);
  }

  attach(user: TransportEvents): void {
    this.#user = user;
  }

  get backlog(): number {
    return this.#waiting === 0 || this.#failed || this.#over ? 0 : this.#handle.writeQueueSize;
  }

  get writes(): number {
    return this.#failed ? 0 : this.#waiting;
  }

  write(piece: Buffer): void {
    if (piece.length === 0 || this.#failed || this.#over) return;
    this.#settle(this.#handle.writeBuffer(this.#request(), piece), piece);
  }

  writeBorrowed(piece: Buffer): void {
    if (piece.length === 0 || this.#failed || this.#over) return;
    // Behind what waits it can only wait, and is to keep no more than its own bytes: thousands may be under way.
    if (this.#waiting > 0) {
      this.#writeCopy(copyApart(piece));
      return;
    }
    if (piece.length <= COPY_LIMIT) {
      const copy = copies.subarray(0, piece.copy(copies));
      // It lies there until it has left.
      if (this.#settle(this.#handle.writeBuffer(this.#request(), copy), copy, copies))
        copies = Buffer.allocUnsafeSlow(COPY_LIMIT);
      return;
    }
    const sent = this.#sendNow(piece);
    // The system tells a reset once: the next write would fail with something else.
    if (sent < 0) this.#fail(sent);
    else if (sent < piece.length) this.#writeCopy(copyApart(sent === 0 ? piece : piece.subarray(sent)));
  }

  writeTogether(pieces: readonly Buffer[]): void {
    const [first] = pieces;
    if (first === undefined || this.#failed || this.#over) return;
    if (pieces.length === 1) this.write(first);
    else this.#settle(this.#handle.writev(this.#request(), pieces, true), pieces);
  }

  end(): void {
    this.#ending = true;
    // A shutdown that waits for the queue would keep libuv from resetting a peer that reads no more.
    if (this.#waiting === 0 && !this.#failed) this.#shutdown();
  }

  startReading(): void {
    if (this.#reading || this.#ended || this.#over) return;
    this.#reading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#close(systemError(status, 'read'));
  }

  stopReading(): void {
    if (!this.#reading || this.#over) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  reset(): void {
    if (this.#over) return;
    // While the half-close is under way libuv refuses to reset.
    if (this.#shutting) this.#resetsWhenShut = true;
    else {
      this.#over = true;
      const status = this.#handle.reset(onClosed);
      if (status === 0) return;
      // Nothing closes it from then on, and it calls nobody back.
      this.#cause = systemError(status, 'reset');
      setImmediate(onClosed.bind(this.#handle));
    }
  }

  destroy(): void {
    this.#close(undefined);
  }

  get over(): boolean {
    return this.#over;
  }

  get local(): SocketPlace | undefined {
    return this.#over ? undefined : placeOf(this.#handle, 'getsockname');
  }

  get remote(): SocketPlace | undefined {
    return this.#over ? undefined : placeOf(this.#handle, 'getpeername');
  }

  /** Of the last read: how much it brought. */
  read(): void {
    if (this.#over) return;
    const length = this.#inside.state[this.#inside.readAt] ?? 0;
    if (length > 0) {
      const more = this.#user?.read(readBuffer.subarray(0, length), length === READ_BUFFER_BYTES);
      if (more !== true) this.stopReading();
    } else if (length === UV_EOF) {
      // Told once more, or what it hid: the error of a reset that is pending still.
      if (HIDES_RESETS && !this.#endLooked) {
        this.#endLooked = true;
        if (this.#handle.readStart() === 0) return;
      }
      this.#reading = false;
      this.#ended = true;
      this.#user?.ended();
      if (this.#shut) this.#close(undefined);
    } else if (length < 0) this.#close(systemError(length, 'read'));
  }

  written(status: number): void {
    this.#waiting -= 1;
    if (this.#over || this.#failed) return;
    if (status < 0) this.#fail(status);
    else if (this.#waiting === 0) {
      if (this.#ending) this.#shutdown();
      this.#user?.drained();
    }
  }

  shut(): void {
    this.#shutting = false;
    this.#shut = true;
    if (this.#resetsWhenShut) this.reset();
    else if (this.#ended) this.#close(undefined);
  }

  closed(): void {
    this.#user?.closed(this.#cause);
  }

  /** How much of it the kernel takes at once, none where that cannot be asked; or why it takes no more, as a negated errno. */
  #sendNow(piece: Buffer): number {
    const native = nativeCalls();
    if (native === undefined) return 0;
    const descriptor = shownDescriptor(this.#handle);
    if (descriptor === undefined) return 0;
    const sent = native.send(descriptor, piece);
    return FULL.has(sent) ? 0 : sent;
  }

  #writeCopy(copy: Buffer<ArrayBuffer>): void {
    if (!this.#settle(this.#handle.writeBuffer(this.#request(), copy), copy, copy)) free(copy);
  }

  #request(): WriteRequest | null {
    spare ??= this.#inside.WriteWrap === null ? null : new this.#inside.WriteWrap();
    return spare;
  }

  /** Whether it waits. */
  #settle(answer: number | WriteRequest, memory: readonly Buffer[] | Buffer, copy?: Buffer<ArrayBuffer>): boolean {
    const failure = failureOf(answer, this.#inside);
    if (failure !== 0) {
      this.#fail(failure);
      return false;
    }
    let request: WriteRequest;
    if (typeof answer === 'number') {
      // Asked of the call and not of the queue, which may be empty again while the request is under way.
      const { state, waitsAt } = this.#inside;
      if (!spare || waitsAt === undefined || state[waitsAt] === 0) return false;
      request = spare;
      spare = undefined;
    } else request = answer;
    this.#waiting += 1;
    const waiting = request as WaitingWrite;
    waiting.memory = memory;
    waiting.copy = copy;
    waiting.transport = this;
    waiting.oncomplete = onWritten;
    if (typeof waiting.writeStatus === 'number') waiting.oncomplete(waiting.writeStatus);
    return true;
  }

  #fail(status: number): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#user?.failed(systemError(status, 'write'));
  }

  #shutdown(): void {
    if (this.#shutting || this.#shut || this.#over) return;
    this.#shutting = true;
    const request = new this.#inside.ShutdownWrap();
    request.oncomplete = onShut;
    const answer = this.#handle.shutdown(request);
    if (answer === 0) return;
    this.shut();
    // At once; or what is over has nothing to shut.
    if (answer !== 1 && answer !== NOT_CONNECTED) this.#close(systemError(answer, 'shutdown'));
  }

  #close(cause: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#cause = cause;
    this.#handle.close(onClosed);
  }
}

function onRead(this: TcpHandle): undefined {
  (this as OwnedHandle).transport?.read();
}

function onClosed(this: TcpHandle): void {
  const { transport } = this as OwnedHandle;
  (this as OwnedHandle).transport = undefined;
  transport?.closed();
}

function onShut(this: object, _status: number, handle: TcpHandle): void {
  (handle as OwnedHandle).transport?.shut();
}

function onWritten(this: WriteRequest, status: number): void {
  const waiting = this as WaitingWrite;
  waiting.memory = undefined;
  if (waiting.copy !== undefined) free(waiting.copy);
  waiting.copy = undefined;
  waiting.transport.written(status);
}

/** Undefined where it has none, as when it was reset before it could be accepted. */
export function placeOf(handle: TcpHandle, of: 'getsockname' | 'getpeername'): SocketPlace | undefined {
  // With all that it is given, or each call makes a new shape of it.
  const place = { address: '', family: '', port: 0 };
  return handle[of](place) === 0 ? place : undefined;
}
