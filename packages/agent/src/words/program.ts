/** Which program this is: a thread may begin days after it, and by then another may lie on the disk. */
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { BUILD } from './build-id.ts';

/** Seen from here in a built checkout, what the compiler writes last, of this package and of what it takes from another. */
const COMPILED = ['../.tsbuildinfo', '../../../proto/dist/.tsbuildinfo'];

/** The program as it was when it began. */
export const PROGRAM = programOf();

/**
 * Which program the file at this address is of; `here`: this very file, in the form that it has there: source, built (.js), or bundled with all of its program (.mjs). What
 * was compiled and not bundled may be compiled anew.
 */
export function programOf(here: string = import.meta.url): string {
  return [BUILD, ...(extname(here) === '.js' ? compiledMs(here) : [])].join(' ');
}

/** When each part of a built checkout was compiled, zero where it was not; `here` as of `programOf`. */
export function compiledMs(here: string): readonly number[] {
  return COMPILED.map((path) => changedMs(new URL(path, here)));
}

/** Zero where there is none. */
export function changedMs(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** As an error of a thread has it. */
const REPLACED = 'program-replaced';

/** Throws where the program that begins the thread is another. To be asked before anything else of what it was given is read: another may mean another thing by it. */
export function requireProgram(expected: string | undefined, here?: string): void {
  if (expected === programOf(here)) return;
  const message = 'the program on the disk is another than the one that runs: it was replaced; restart the agent';
  throw Object.assign(new Error(message), { code: REPLACED });
}

/** Whether it is of `requireProgram`, in this thread or in another: what lies on the disk will not be of this program again. */
export function wasReplaced(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === REPLACED;
}
