/**
 * The files that this process may have open, and what is refused so that the last of them stay free: an agent that has none
 * left cannot answer a name, keep what control says, or even tell a caller no.
 */
import { closeSync, openSync } from 'node:fs';
import { isShortage, mostListeners, reservedFiles } from '@weft/proto';
import { type Problems, passing } from '../words/problems.ts';

/** In the record of a call that was taken only to be refused. */
export const NO_FILE = 'this agent has no file left for another flow';

export class OpenFiles {
  /** Of the whole process. Infinity where it is not known. */
  readonly limit: number;
  /** To be told of each failure for want of files. */
  readonly ranOut: () => void;
  readonly #reserve: number;

  constructor(limit: number, problems: Problems) {
    this.limit = limit;
    this.#reserve = reservedFiles(limit);
    this.ranOut = passing(problems, {
      code: 'too-many-files',
      subject: 'agent',
      message:
        `this agent may have ${limit} files open, and so many are that new flows are refused; what runs goes on; ` +
        'raise the limit (ulimit -n, or LimitNOFILE= in the unit) and restart the agent',
    });
  }

  /** Files for flows, listeners and whoever comes from outside, all together. */
  get usable(): number {
    return this.limit - this.#reserve;
  }

  /** Listeners that a thread of so many may hold. */
  listeners(threads: number): number {
    return Math.floor(mostListeners(this.limit) / threads);
  }

  /**
   * Whether the file just opened leaves enough of them free; one that does not is to be closed. The kernel gives the lowest
   * number that is free (POSIX), so its number tells how many are in use, whoever in this process opened them. Undefined
   * where it is not known: then the number is looked at that the next file gets.
   */
  spares(descriptor: number | undefined): boolean {
    return this.#below(descriptor, this.usable);
  }

  /** The same for a tunnel to a peer, which carries flows that are there already: half of the reserve is for those. */
  sparesTunnel(descriptor: number | undefined): boolean {
    return this.#below(descriptor, this.limit - this.#reserve / 2);
  }

  /** Whether the next file would leave enough of them free. Of what nobody asked for: nothing is refused when not. */
  get spare(): boolean {
    return this.usable === Number.POSITIVE_INFINITY || nextDescriptor() < this.usable;
  }

  #below(descriptor: number | undefined, most: number): boolean {
    if (most === Number.POSITIVE_INFINITY || (descriptor ?? nextDescriptor()) < most) return true;
    this.ranOut();
    return false;
  }
}

function nextDescriptor(): number {
  try {
    const descriptor = openSync('/dev/null', 'r');
    closeSync(descriptor);
    return descriptor;
  } catch (cause) {
    return isShortage(cause) ? Number.POSITIVE_INFINITY : 0;
  }
}

/** As the kernel says it, for what was refused before it had to. */
export function outOfFiles(syscall: string): Error {
  return Object.assign(new Error(`${syscall} EMFILE: the last files are kept for what runs`), {
    code: 'EMFILE',
    syscall,
  });
}
