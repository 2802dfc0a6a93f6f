/**
 * Passes connections that were accepted to another thread of this process. Node has no call for it, but does it between processes, over a
 * Unix socket (SCM_RIGHTS, unix(7)); threads are joined by one here in the same way, which is for their user alone, and for whoever says
 * a word that only the other thread was given.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, openSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { messageOf } from '@weft/proto';
import { closeHandle } from '../handle.ts';
import { listenPrivately } from '../private-socket.ts';
import { failureOf, tcpInside } from './handle-transport.ts';
import { handleOf, shownDescriptor, systemError } from './known.ts';
import type { TcpInside, WriteRequest } from './tcp-inside.ts';

/** What node:net has of a Unix socket, a PipeWrap, and node:child_process passes sockets by. */
interface Pipe {
  readonly fd?: unknown;
  open(descriptor: number): number;
  connect(request: object, path: string): number;
  readStart(): number;
  readStop(): number;
  close(): void;
  unref(): void;
  /** Answers zero or a negated errno; from Node 26 on the request. */
  writeUtf8String(request: WriteRequest | null, text: string, passed?: object): number | WriteRequest;
  onread: (this: Pipe, bytes: ArrayBuffer | undefined) => void;
  /** What came with the bytes that are told next. */
  pendingHandle: object | null;
}

interface PipeInside extends Pick<TcpInside, 'WriteWrap' | 'state' | 'failedAt'> {
  readonly Pipe: new (type: number) => Pipe;
  readonly PipeConnectWrap: new () => { oncomplete: (status: number) => void };
  /** The type of one that passes sockets. */
  readonly passes: number;
}

/** On their way at once: a thread that does not take them is given no more. */
export const MOST_PASSED = 256;
/** Bytes of what is said with one: a write is whole, or is not made. */
const MOST_TEXT = 1_024;
/** Numbers tried for a seat, in the loop that carries flows: some microseconds each. */
const MOST_SEATS = 64;
/** Bytes of the word, which is said in hexadecimal digits. */
const WORD_BYTES = 32;
/** Who came and has not said the word; the first of more goes. */
const MOST_CALLERS = 8;
/** What is said to whoever said the word, before all that is passed. */
const WELCOME = '\n';

/** How both sides are joined. Goes to the other thread as it is. */
export interface PassWay {
  readonly path: string;
  /** What is to be said first, by whoever is to be given connections. */
  readonly word: string;
  /** Int32: sockets on their way. */
  readonly outstanding: SharedArrayBuffer;
}

/** The side that has the connections. */
export interface SocketSender {
  readonly way: PassWay;
  /** Resolves when the other side is there. Rejects where it does not come in time, or before `close`. */
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

/** Why this Node, or this system, cannot pass sockets; empty where it can. */
export function passingCause(): string {
  try {
    pipeInside();
    return '';
  } catch (error) {
    return messageOf(error);
  }
}

/** Begins to wait for the other side, for so long. Rejects where this Node, or the system, cannot pass sockets. */
export async function sendSockets(directory: string, withinMs: number): Promise<SocketSender> {
  const sender = new Sender(directory, pipeInside(), withinMs);
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
  readonly #late: NodeJS.Timeout;
  readonly #callers = new Set<Pipe>();
  /** What the kernel has not taken yet. */
  readonly #waiting = new Set<object>();
  /** As it was accepted: Node makes it of a kind that passes nothing. */
  #accepted: Pipe | undefined;
  /** The same socket, of the kind that does. */
  #pipe: Pipe | undefined;
  #closed: boolean = false;

  constructor(directory: string, inside: PipeInside, withinMs: number) {
    this.#inside = inside;
    // A path of a directory may be longer than a socket's may be.
    this.#directory = openSync(directory, 'r');
    this.#late = setTimeout(() => {
      this.#joined.reject(new Error(`the other thread did not come within ${withinMs / 1_000} s`));
      this.close();
    }, withinMs).unref();
    const path = `/proc/self/fd/${this.#directory}/thread.sock`;
    const word = randomBytes(WORD_BYTES).toString('hex');
    this.way = { path, word, outstanding: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT) };
    this.#outstanding = new Int32Array(this.way.outstanding);
    this.#joined.promise.catch(() => undefined);
    removeOld(join(directory, 'thread.sock'));
  }

  async listen(): Promise<void> {
    const listens = listenPrivately(this.#server, this.way.path);
    const listening = handleOf(this.#server) as { onconnection?: unknown } | undefined;
    const known = typeof listening?.onconnection === 'function';
    // Before anybody can come.
    if (known) listening.onconnection = (status: number, caller: Pipe | undefined) => this.#called(status, caller);
    await listens;
    if (!known) throw new Error('this Node accepts otherwise than is known');
  }

  get outstanding(): number {
    return Atomics.load(this.#outstanding, 0);
  }

  pass(handle: object, text: string, back: () => void): boolean {
    const pipe = this.#pipe;
    if (pipe === undefined || Buffer.byteLength(text) > MOST_TEXT || this.outstanding >= MOST_PASSED) return false;
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
    if (write(pipe, text, this.#inside, completed, handle) === 0) return true;
    Atomics.sub(this.#outstanding, 0, 1);
    this.#waiting.delete(handle);
    return false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#joined.reject(new Error('it was closed'));
    this.#endCalls();
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

  #called(status: number, caller: Pipe | undefined): void {
    if (status !== 0 || this.#closed || this.#pipe !== undefined || caller === undefined) {
      closeHandle(caller);
      return;
    }
    const [first] = this.#callers;
    if (first !== undefined && this.#callers.size >= MOST_CALLERS) this.#refuse(first);
    this.#callers.add(caller);
    caller.unref();
    const word = Buffer.from(this.way.word);
    let said = Buffer.alloc(0);
    caller.onread = (bytes) => {
      if (bytes !== undefined) said = Buffer.concat([said, Buffer.from(bytes)]);
      if (bytes !== undefined && said.length < word.length) return;
      if (said.length === word.length && timingSafeEqual(said, word)) this.#join(caller);
      else this.#refuse(caller);
    };
    if (caller.readStart() !== 0) this.#refuse(caller);
  }

  #refuse(caller: Pipe): void {
    this.#callers.delete(caller);
    caller.close();
  }

  #join(accepted: Pipe): void {
    accepted.readStop();
    this.#callers.delete(accepted);
    this.#endCalls();
    try {
      const descriptor = shownDescriptor(accepted);
      if (descriptor === undefined) throw new Error('this Node shows no number of a Unix socket');
      const pipe = new this.#inside.Pipe(this.#inside.passes);
      const opened = pipe.open(descriptor);
      if (opened !== 0) {
        pipe.close();
        throw systemError(opened, 'open');
      }
      pipe.unref();
      this.#pipe = pipe;
      this.#accepted = accepted;
      say(pipe, WELCOME, this.#inside);
      this.#joined.resolve();
    } catch (error) {
      if (this.#accepted === undefined) accepted.close();
      this.#joined.reject(error);
    }
  }

  #endCalls(): void {
    clearTimeout(this.#late);
    this.#server.close();
    for (const caller of this.#callers) this.#refuse(caller);
  }
}

/** Throws what is known at once; what fails later ends the way. */
function say(pipe: Pipe, text: string, inside: PipeInside): void {
  const failure = write(pipe, text, inside, () => undefined);
  if (failure !== 0) throw systemError(failure, 'write');
}

/** Answers zero, and `completed` is told then how it ended; or a negated errno. */
function write(
  pipe: Pipe,
  text: string,
  inside: PipeInside,
  completed: (status: number) => void,
  passed?: object,
): number {
  const request = inside.WriteWrap === null ? null : new inside.WriteWrap();
  if (request !== null) request.oncomplete = completed;
  const answer =
    passed === undefined ? pipe.writeUtf8String(request, text) : pipe.writeUtf8String(request, text, passed);
  const failure = failureOf(answer, inside);
  if (failure !== 0 || typeof answer === 'number') return failure;
  answer.oncomplete = completed;
  if (typeof answer.writeStatus === 'number') completed(answer.writeStatus);
  return 0;
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

/**
 * The side that takes them: each with its text. `lost`: one was said, and this thread had no file for it. Resolves once what is passed
 * comes here. Rejects where the other side does not take it in.
 */
export async function receiveSockets(
  { path, word, outstanding }: PassWay,
  received: (handle: object, text: string) => void,
  lost: () => void,
): Promise<() => void> {
  const inside = pipeInside();
  const count = new Int32Array(outstanding);
  const pipe = new inside.Pipe(inside.passes);
  try {
    await connected(pipe, path, inside);
    await new Promise<void>((resolve, reject) => {
      let welcome: boolean = false;
      pipe.pendingHandle = null;
      // The kernel ends a read with each that has a socket, so bytes and socket are of one.
      pipe.onread = (bytes) => {
        const handle = pipe.pendingHandle;
        pipe.pendingHandle = null;
        if (bytes === undefined) {
          // Once in, it is the other side's to end the way.
          reject(new Error('the first thread did not take it in'));
          return;
        }
        // The first that is passed may come in one with it.
        const text = Buffer.from(bytes).toString('utf8', welcome ? 0 : WELCOME.length);
        if (!welcome) {
          welcome = true;
          resolve();
        }
        if (text === '') return;
        Atomics.sub(count, 0, 1);
        if (handle === null) lost();
        else received(handle, text);
      };
      const status = pipe.readStart();
      if (status !== 0) throw systemError(status, 'read');
      say(pipe, word, inside);
    });
  } catch (error) {
    pipe.close();
    throw error;
  }
  return () => pipe.close();
}

function connected(pipe: Pipe, path: string, { PipeConnectWrap }: PipeInside): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new PipeConnectWrap();
    request.oncomplete = (status) => (status === 0 ? resolve() : reject(systemError(status, 'connect')));
    const status = pipe.connect(request, path);
    if (status !== 0) reject(systemError(status, 'connect'));
  });
}

/** Throws where this Node has it otherwise. */
function pipeInside(): PipeInside {
  if (process.platform !== 'linux') throw new Error(`not known on ${process.platform}`);
  const inside = tcpInside();
  const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
  const { Pipe, PipeConnectWrap, constants } = inside === undefined ? {} : binding('pipe_wrap');
  const passes = (constants as { readonly IPC?: unknown } | undefined)?.IPC;
  const known = typeof Pipe === 'function' && typeof PipeConnectWrap === 'function' && typeof passes === 'number';
  if (inside === undefined || !known) throw new Error('this Node is not as it is known');
  const classes = { Pipe, PipeConnectWrap } as Pick<PipeInside, 'Pipe' | 'PipeConnectWrap'>;
  const { WriteWrap, state, failedAt } = inside;
  return { ...classes, passes, WriteWrap, state, failedAt };
}
