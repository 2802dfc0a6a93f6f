/** What a thread runs, and that it is of the program that begins it: by then another may lie on the disk. */
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { BUILD } from './build-id.ts';

/** Seen from here in a built checkout, what the compiler writes last, of this package and of what it takes from another. */
const COMPILED = ['../../.tsbuildinfo', '../../../../proto/dist/.tsbuildinfo'];
const BUNDLED = '../../bundled/entry.mjs';

export interface ThreadProgram {
  readonly entry: URL;
  /** As `programOf` answers there. */
  readonly id: string;
  /** Why it is not in a few files, where it should be; empty where it is, or should not. */
  readonly unbundled: string;
}

/** @param here a file of this folder, in the form that it has: source, built (.js), or bundled with all of its program (.mjs). */
export function threadProgram(here: string): ThreadProgram {
  const form = extname(here);
  const beside = new URL(`./entry${form}`, here);
  if (form !== '.js') return { entry: beside, id: programOf(beside.href), unbundled: '' };
  const entry = new URL(BUNDLED, here);
  const made = changedMs(entry);
  const old = COMPILED.some((path) => changedMs(new URL(path, here)) > made);
  if (made > 0 && !old) return { entry, id: programOf(entry.href), unbundled: '' };
  const unbundled = `${entry.pathname} is ${made > 0 ? 'older than what is compiled' : 'missing'}; run npm run build`;
  return { entry: beside, id: programOf(beside.href), unbundled };
}

/** Which program the file at this address is of. What was compiled and not bundled may be compiled anew. */
export function programOf(here: string): string {
  const compiled = extname(here) === '.js' ? COMPILED.map((path) => changedMs(new URL(path, here))) : [];
  return [BUILD, ...compiled].join(' ');
}

/** As an error of a thread has it. */
const REPLACED = 'program-replaced';

/** Whether it is of `requireProgram`, in this thread or in another: what lies on the disk will not be of this program again. */
export function wasReplaced(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === REPLACED;
}

/** Throws where the program that begins the thread is another. */
export function requireProgram(expected: string | undefined, here: string): void {
  if (expected === programOf(here)) return;
  const message = 'the program on the disk is another than the one that runs: it was replaced; restart the agent';
  throw Object.assign(new Error(message), { code: REPLACED });
}

/** Zero where there is none. */
function changedMs(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
