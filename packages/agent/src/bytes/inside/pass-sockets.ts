/**
 * Passes connections that were accepted to another thread of this process. Node has no call for it, but does it between processes, over a
 * Unix socket (SCM_RIGHTS, unix(7)); threads are joined by one here in the same way, in a directory that is for their user alone.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { closeHandle } from '../handle.ts';
import { tcpInside } from './handle-transport.ts';
import { handleOf, shownDescriptor, systemError } from './known.ts';
import type { WriteRequest } from './tcp-inside.ts';

/** What node:net has of a Unix socket, a PipeWrap, and node:child_process passes sockets by. */
interface Pipe {
  readonly fd?: unknown;
  open(descriptor: number): number;
  connect(request: object, path: string): number;
  readStart(): number;
  close(): void;
  unref(): void;
  /** Answers zero or a negated errno; from Node 26 on the request. */
  writeUtf8String(request: WriteRequest | null, text: string, passed: object): number | WriteRequest;
  onread: (this: Pipe, bytes: ArrayBuffer | undefined) => void;
  /** What came with the bytes that are told next. */
  pendingHandle: object | null;
}

interface PipeInside {
  readonly Pipe: new (type: number) => Pipe;
  readonly PipeConnectWrap: new () => { oncomplete: (status: number) => void };
  /** The type of one that passes sockets. */
  readonly passes: number;
  /** Null where handles make requests themselves. */
  readonly WriteWrap: (new () => WriteRequest) | null;
}

/** On their way at once: a thread that does not take them is given no more. */
export const MOST_PASSED = 256;
/** Bytes of what is said with one: a write is whole, or is not made. */
const MOST_TEXT = 1_024;
/** Numbers tried for a seat. */
const MOST_SEATS = 4_096;

/** How both sides are joined. Goes to the other thread as it is. */
export interface PassWay {
  readonly path: string;
  /** Int32: sockets on their way. */
  readonly outstanding: SharedArrayBuffer;
}

/** The side that has the connections. */
export interface SocketSender {
  readonly way: PassWay;
  /** Resolves when the other side is there. Rejects where it does not come: see `close`. */
  readonly joined: Promise<void>;
  /** Sockets that were passed and not taken yet. */
  readonly outstanding: number;
  /**
   * Passes the connection with a line of text. False where it cannot be, and is the caller's as before. `back`: the system did not take it
   * after all, and it is the caller's again.
   */
  pass(handle: object, text: string, back: () => void): boolean;
  close(): void;
}

/** Begins to wait for the other side. Rejects where this Node, or the system, cannot pass sockets. */
export async function sendSockets(directory: string): Promise<SocketSender> {
  if (process.platform !== 'linux') throw new Error(`not known on ${process.platform}`);
  const sender = new Sender(directory, pipeInside());
  try {
    await sender.listen();
    return sender;
  } catch (error) {
    sender.close();
    throw error;
  }
}

class Sender implements SocketSender {
  readonly way: PassWay;
  readonly #inside: PipeInside;
  readonly #joined = Promise.withResolvers<void>();
  readonly joined = this.#joined.promise;
  readonly #outstanding: Int32Array;
  readonly #server = net.createServer({ pauseOnConnect: true });
  readonly #directory: number;
  /** What the kernel has not taken yet. */
  readonly #waiting = new Set<object>();
  /** As it was accepted: Node makes it of a kind that passes nothing. */
  #accepted: Pipe | undefined;
  /** The same socket, of the kind that does. */
  #pipe: Pipe | undefined;
  #closed: boolean = false;

  constructor(directory: string, inside: PipeInside) {
    this.#inside = inside;
    // A path of a directory may be longer than a socket's may be.
    this.#directory = openSync(directory, 'r');
    const path = `/proc/self/fd/${this.#directory}/thread.sock`;
    this.way = { path, outstanding: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
    this.#outstanding = new Int32Array(this.way.outstanding);
    this.#joined.promise.catch(() => undefined);
    removeOld(join(directory, 'thread.sock'));
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.way.path, () => {
        const listening = handleOf(this.#server) as { onconnection?: unknown } | undefined;
        if (typeof listening?.onconnection !== 'function') {
          reject(new Error('this Node accepts otherwise than is known'));
          return;
        }
        listening.onconnection = (status: number, accepted: Pipe | undefined) => this.#join(status, accepted);
        resolve();
      });
    });
  }

  get outstanding(): number {
    return Atomics.load(this.#outstanding, 0);
  }

  pass(handle: object, text: string, back: () => void): boolean {
    const pipe = this.#pipe;
    if (pipe === undefined || text.length > MOST_TEXT || this.outstanding >= MOST_PASSED) return false;
    const { WriteWrap } = this.#inside;
    const request = WriteWrap === null ? null : new WriteWrap();
    Atomics.add(this.#outstanding, 0, 1);
    this.#waiting.add(handle);
    const completed = (status: number): void => {
      this.#waiting.delete(handle);
      if (status === 0) {
        // The kernel has it: this one was a copy.
        closeHandle(handle);
        return;
      }
      Atomics.sub(this.#outstanding, 0, 1);
      back();
    };
    if (request !== null) request.oncomplete = completed;
    const answer = pipe.writeUtf8String(request, text, handle);
    if (typeof answer === 'number') {
      if (answer === 0) return true;
      Atomics.sub(this.#outstanding, 0, 1);
      this.#waiting.delete(handle);
      return false;
    }
    answer.oncomplete = completed;
    if (typeof answer.writeStatus === 'number') completed(answer.writeStatus);
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#joined.reject(new Error('it was closed'));
    this.#server.close();
    closeSync(this.#directory);
    const [pipe, accepted] = [this.#pipe, this.#accepted];
    this.#pipe = undefined;
    if (pipe === undefined || accepted === undefined) return;
    const seat = shownDescriptor(pipe);
    // What waits completes as cancelled, and is its caller's again.
    pipe.close();
    // Both had one number, which is free now and may be anybody's: the second may close only what is ours.
    if (seat !== undefined && takeSeat(seat)) accepted.close();
  }

  #join(status: number, accepted: Pipe | undefined): void {
    if (this.#closed || this.#pipe !== undefined || accepted === undefined) {
      closeHandle(accepted);
      return;
    }
    this.#server.close();
    try {
      if (status !== 0) throw systemError(status, 'accept');
      const descriptor = shownDescriptor(accepted);
      if (descriptor === undefined) throw new Error('this Node shows no number of a Unix socket');
      const pipe = new this.#inside.Pipe(this.#inside.passes);
      const opened = pipe.open(descriptor);
      if (opened !== 0) {
        pipe.close();
        throw systemError(opened, 'open');
      }
      pipe.unref();
      accepted.unref();
      this.#pipe = pipe;
      this.#accepted = accepted;
      this.#joined.resolve();
    } catch (error) {
      if (this.#accepted === undefined) closeHandle(accepted);
      this.#joined.reject(error);
    }
  }
}

/** Takes the free number itself, so that it is nobody else's. False where somebody was quicker. */
function takeSeat(seat: number): boolean {
  const others: number[] = [];
  try {
    for (let tries = 0; tries < MOST_SEATS; tries++) {
      // The lowest that is free.
      const number = openSync('/dev/null', 'r');
      if (number === seat) return true;
      others.push(number);
      if (number > seat) return false;
    }
    return false;
  } catch {
    // No file is left.
    return false;
  } finally {
    for (const number of others) closeSync(number);
  }
}

/** Of an agent that was killed. */
function removeOld(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // There is none.
  }
}

/** The side that takes them: each with its text. `lost`: one was said, and this thread had no file for it. */
export async function receiveSockets(
  { path, outstanding }: PassWay,
  received: (handle: object, text: string) => void,
  lost: () => void,
): Promise<() => void> {
  const { Pipe, PipeConnectWrap, passes } = pipeInside();
  const count = new Int32Array(outstanding);
  const pipe = new Pipe(passes);
  await new Promise<void>((resolve, reject) => {
    const request = new PipeConnectWrap();
    request.oncomplete = (status) => (status === 0 ? resolve() : reject(systemError(status, 'connect')));
    const status = pipe.connect(request, path);
    if (status !== 0) reject(systemError(status, 'connect'));
  });
  pipe.pendingHandle = null;
  // The kernel ends a read with each that has a socket, so bytes and socket are of one.
  pipe.onread = (bytes) => {
    const handle = pipe.pendingHandle;
    pipe.pendingHandle = null;
    if (bytes === undefined) return;
    Atomics.sub(count, 0, 1);
    if (handle === null) lost();
    else received(handle, Buffer.from(bytes).toString('utf8'));
  };
  const status = pipe.readStart();
  if (status !== 0) throw systemError(status, 'read');
  return () => pipe.close();
}

/** Throws where this Node has it otherwise. */
function pipeInside(): PipeInside {
  const inside = tcpInside();
  const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
  const { Pipe, PipeConnectWrap, constants } = inside === undefined ? {} : binding('pipe_wrap');
  const passes = (constants as { readonly IPC?: unknown } | undefined)?.IPC;
  const known = typeof Pipe === 'function' && typeof PipeConnectWrap === 'function' && typeof passes === 'number';
  if (inside === undefined || !known) throw new Error('this Node is not as it is known');
  const classes = { Pipe, PipeConnectWrap } as Pick<PipeInside, 'Pipe' | 'PipeConnectWrap'>;
  return { ...classes, passes, WriteWrap: inside.WriteWrap };
}
