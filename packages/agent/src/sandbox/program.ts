/** Which program a sandbox was begun for, as far as the kernel tells the agent's user (proc(5)). */
import { readFileSync, readlinkSync } from 'node:fs';

/** What is told where nothing can be known. */
const UNKNOWN = 'weft run';
/** A program may become another one. */
const LOOK_MS = 1_000;

/** By the process of its supervisor. The answer is looked up when it is asked for, once a second at most. */
export function programOf(supervisor: number, now: () => number = () => performance.now()): () => string {
  let found = UNKNOWN;
  let untilMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = now();
    if (nowMs >= untilMs) {
      found = look(supervisor) ?? found;
      untilMs = nowMs + LOOK_MS;
    }
    return found;
  };
}

/** Of the user's own the file, of another's its name alone; undefined where neither is to be had. */
function look(supervisor: number): string | undefined {
  try {
    const [first = ''] = childrenOf(supervisor);
    // What it left to process 1 comes after it.
    const [program = ''] = childrenOf(first);
    if (program === '') return undefined;
    try {
      return readlinkSync(`/proc/${program}/exe`);
    } catch {
      return readFileSync(`/proc/${program}/comm`, 'utf8').trimEnd();
    }
  } catch {
    return undefined;
  }
}

/** Oldest first. */
function childrenOf(pid: number | string): readonly string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
}
