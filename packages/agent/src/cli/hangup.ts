/** Whose a hangup is: the kernel, and a shell, tell of a terminal that has gone by the same signal that an operator sends. */
import { closeSync, openSync, readSync } from 'node:fs';
import { isatty } from 'node:tty';

/** How often it is looked how the process stands to its terminal. */
const LOOK_MS = 1_000;
/** After so many looks at no terminal the process has outlived it: its hangup would have come by then. */
const MOST_MISSED = 5;

/** Of the terminal that a command was begun at: one of its descriptors from 0 to 2, or the controlling one where all three lead elsewhere. */
export interface TerminalWatch {
  /** Whether it has gone, and that just now: who went on without it for seconds is hung up by an operator alone. */
  gone(): boolean;
  /**
   * Whether its end is the command's: not where that is in its background and all descriptors lead elsewhere, as behind nohup, which Node undoes, and behind a script
   * that has ended.
   */
  ends(): boolean;
}

export function watchTerminal(): TerminalWatch {
  const controlling = new ControllingTerminal();
  const sits = () => [0, 1, 2].some(isatty);
  let tie: 'descriptors' | 'foreground' | 'background' | undefined;
  /** Answers whether there is a terminal. */
  const look = () => {
    if (sits()) tie = 'descriptors';
    else if (controlling.exists) tie = controlling.inForeground ? 'foreground' : 'background';
    else return false;
    return true;
  };
  let missed = 0;
  if (!look()) controlling.close();
  else {
    // A process that is stopped makes no looks: when it goes on, it is at its terminal as before.
    const timer = setInterval(() => {
      missed = look() ? 0 : missed + 1;
      if (missed < MOST_MISSED) return;
      tie = undefined;
      clearInterval(timer);
      controlling.close();
    }, LOOK_MS).unref();
  }
  const gone = () => (tie === 'descriptors' ? !sits() : tie !== undefined && !controlling.exists);
  return { gone, ends: () => tie !== 'background' && gone() };
}

/**
 * Calls at each SIGHUP, which else ends the process, but at those for a terminal whose end is the command's: the first of these stops it in order, where it is not
 * `stopping` anyway.
 */
export function onHangup(terminal: TerminalWatch, listener: () => void, stopping: () => boolean): void {
  let stopped = false;
  process.on('SIGHUP', () => {
    if (!terminal.ends()) {
      listener();
      return;
    }
    // Its shell sends one, and the kernel another; a second SIGTERM would end it at once.
    if (!stopped && !stopping()) process.kill(process.pid, 'SIGTERM');
    stopped = true;
  });
}

/** By the kernel's word (proc_pid_stat(5)), over one file: at a hangup there may be none left. It takes the terminal from all of the session before it tells of it. */
class ControllingTerminal {
  readonly #buffer = Buffer.alloc(1_024);
  #file: number | undefined;

  constructor() {
    try {
      this.#file = openSync('/proc/self/stat', 'r');
    } catch {
      // Another system, or no file is left: none is known.
    }
  }

  get exists(): boolean {
    const [, , , , terminal = 0] = this.#numbers();
    return terminal !== 0;
  }

  get inForeground(): boolean {
    const [, , group, , , foreground] = this.#numbers();
    return group !== undefined && group === foreground;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  /** State, parent, process group, session, terminal, process group in its foreground: what stands behind the name, which may hold anything. */
  #numbers(): readonly number[] {
    if (this.#file === undefined) return [];
    const length = readSync(this.#file, this.#buffer, 0, this.#buffer.length, 0);
    const text = this.#buffer.toString('latin1', 0, length);
    return text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ', 6)
      .map(Number);
  }
}
