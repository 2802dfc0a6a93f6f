/**
 * Ends this process whatever its threads, or the requests of Node's pool, wait for: `process.exit` and a loop that runs empty wait for them, and close
 * each socket for as long as who sent it has its close wait.
 */
import { nodeFfi } from '@weft/proto/house';

interface Libc {
  dlopen(path: null, definitions: unknown): { readonly functions: { _exit(code: number): void } };
}

let needed: boolean = false;

/** From now on no other end may be taken: something is held whose close could wait. */
export function endAtOnceOnly(): void {
  needed = true;
}

/** Whether `endAtOnceOnly` was called. */
export function mustEndAtOnce(): boolean {
  return needed;
}

/**
 * With that exit code where Node has node:ffi; else by the signal that a shell tells as 130 or 143, or killed, as where there is no code. What is
 * done at an exit is done before: it waits for nothing.
 */
export function endAtOnce(code?: number): never {
  try {
    process.emit('exit', code ?? KILLED);
  } catch (error) {
    process.stderr.write(`weft: ${String(error)}\n`);
  }
  if (code !== undefined) leave(code);
  const signal = SIGNALS[code ?? KILLED] ?? 'SIGKILL';
  // Whose action is the system's again.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Whoever is the first process of a container takes no signal of its own.
  leave(KILLED);
  process.abort();
}

/** As a shell tells of it. */
const KILLED = 137;
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = { 130: 'SIGINT', 143: 'SIGTERM' };

/** _exit(2) ends all threads. Answers where it could not be called. */
function leave(code: number): void {
  try {
    nodeFfi<Libc>()
      ?.dlopen(null, { _exit: { arguments: ['i32'], return: 'void' } })
      .functions._exit(code);
  } catch {
    // Not permitted; there are others.
  }
}
