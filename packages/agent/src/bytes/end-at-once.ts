/**
 * Ends this process whatever its threads, or the requests of Node's pool, wait for: `process.exit` and a loop that runs empty wait for them, and close
 * each socket for as long as who sent it has its close wait.
 */
import { readdirSync } from 'node:fs';
import { nodeFfi } from '@weft/proto/house';

interface Ffi {
  dlopen(path: null, definitions: unknown): { readonly functions: Libc };
  getRawPointer(memory: Uint8Array): bigint;
}

interface Libc {
  _exit(code: number): void;
  connect(descriptor: number, address: bigint, length: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: bigint, length: number): number;
}

const DEFINITIONS = {
  _exit: { arguments: ['i32'], return: 'void' },
  connect: { arguments: ['i32', 'u64', 'u32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'u64', 'u32'], return: 'i32' },
};
/** From asm-generic/socket.h. */
const SOL_SOCKET = 1;
const SO_LINGER = 13;
/** struct sockaddr of AF_UNSPEC. */
const NOBODY = new Uint8Array(16);
/** Where files cannot be listed each number is tried, up to so many behind the last of a socket: as many as Linux mostly lets a process have, in some tenths of a second. */
const MOST_BETWEEN = 1 << 20;

let needed: boolean = false;

/** From now on no other end may be taken: something is held whose close could wait. */
export function endAtOnceOnly(): void {
  needed = true;
}

/** Whether `endAtOnceOnly` was called. */
export function mustEndAtOnce(): boolean {
  return needed;
}

const cuts = new Set<() => void>();

/**
 * What resets connections, for however this process ends, or this thread by itself, but by a kill: the kernel would close them as if all had been said. It goes
 * before all else of an exit, of which the log may wait for its reader.
 */
export function cutAtEnd(cut: () => void, until: AbortSignal): void {
  cuts.add(cut);
  process.prependOnceListener('exit', cut);
  const forget = () => {
    cuts.delete(cut);
    process.off('exit', cut);
  };
  until.addEventListener('abort', forget, { once: true });
}

/**
 * With that exit code where Node has node:ffi; else by the signal that a shell tells as that code, or killed, as where there is no code. What is
 * done at an exit is done before: it waits for nothing but the log's reader. Whatever connections are open, of all threads, are reset before that where Node has node:ffi.
 */
export function endAtOnce(code?: number): never {
  for (const cut of cuts) {
    process.off('exit', cut);
    attempt(cut);
  }
  resetOpen();
  attempt(() => process.emit('exit', code ?? KILLED));
  if (code !== undefined) leave(code);
  const signal = SIGNALS[code ?? KILLED] ?? 'SIGKILL';
  // Whose action is the system's again.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Whoever is the first process of a container takes no signal of its own.
  leave(KILLED);
  process.abort();
}

function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    process.stderr.write(`weft: ${String(error)}\n`);
  }
}

/** As a shell tells of it. */
const KILLED = 137;
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = { 130: 'SIGINT', 131: 'SIGQUIT', 143: 'SIGTERM' };

/** _exit(2) ends all threads. Answers where it could not be called. */
function leave(code: number): void {
  try {
    nodeFfi<Ffi>()?.dlopen(null, DEFINITIONS).functions._exit(code);
  } catch {
    // Not permitted; there are others.
  }
}

/**
 * The kernel would close what no handler of an exit gets at, such as what other threads carry, as if all had been said: whoever has a connection of this
 * process would take a part for the whole. But for those that were inherited as the process's own input and output.
 */
function resetOpen(): void {
  try {
    const ffi = nodeFfi<Ffi>();
    if (ffi === undefined) return;
    const { connect, setsockopt } = ffi.dlopen(null, DEFINITIONS).functions;
    // struct linger: on, for no time. Who closes resets.
    const linger = new Uint8Array(new Int32Array([1, 0]).buffer);
    const at = ffi.getRawPointer(linger);
    const nobody = ffi.getRawPointer(NOBODY);
    // Of what is no socket nothing is set. The kernel resets what is disconnected at once; its number stays taken, for a thread may still write to it.
    const resets = (descriptor: number) => {
      if (setsockopt(descriptor, SOL_SOCKET, SO_LINGER, at, linger.length) !== 0) return false;
      connect(descriptor, nobody, NOBODY.length);
      return true;
    };
    const open = listOpen();
    for (const descriptor of open ?? []) if (descriptor > 2) resets(descriptor);
    if (open !== undefined) return;
    let last = 2;
    for (let descriptor = 3; descriptor - last <= MOST_BETWEEN; descriptor++) if (resets(descriptor)) last = descriptor;
  } catch {
    // Not permitted.
  }
}

/** Undefined where no file is left to look by. */
function listOpen(): readonly number[] | undefined {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return undefined;
  }
}
