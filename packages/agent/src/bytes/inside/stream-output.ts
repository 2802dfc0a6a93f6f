/** Writes of a connected socket without the stream machinery: one that the kernel takes at once, which is nearly each, is one call. */
import net from 'node:net';
import type { Output, OutputEvents } from '../output.ts';
import { handleOf, isInsideKnown, systemError } from './known.ts';

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

/** The sending half of a connected socket, straight on its handle. */
export function handleOutput(socket: net.Socket, events: OutputEvents): Output | undefined {
  const handle = handleOf(socket);
  if (!isInsideKnown() || WriteWrap === undefined || handle === undefined || !isStreamHandle(handle)) return undefined;
  return new HandleOutput(socket, handle, WriteWrap, events);
}

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

function isStreamHandle(handle: object): handle is StreamHandle {
  try {
    const { writeBuffer, writev, writeQueueSize } = handle as Partial<StreamHandle>;
    return typeof writeBuffer === 'function' && typeof writev === 'function' && typeof writeQueueSize === 'number';
  } catch {
    return false;
  }
}

function isWriteRequest(request: object): request is WriteRequest {
  return typeof (request as Partial<WriteRequest>).getAsyncId === 'function';
}

/** The class of write requests has no public name; a socket over a handle of our own shows one to it. */
function findWriteWrap(): WriteRequestClass | undefined {
  let found: WriteRequestClass | undefined;
  const handle = {
    writeBuffer(request: object | null): number {
      if (request === null) found = null;
      // A plain object would be taken for a request, and end the process.
      else if (request.constructor.name === 'WriteWrap' && isWriteRequest(request)) {
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
