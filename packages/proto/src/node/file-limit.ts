/** How many files, sockets among them, this process may have open at once: RLIMIT_NOFILE, getrlimit(2). */
import { readFileSync } from 'node:fs';
import { CodedError } from '../model/errors.ts';

/** Files. Node raises its limit to the hard one as it starts. Infinity where the system does not tell. */
export function fileLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Of those, the files kept for what must go on when all else is refused: the way to control, names, disk, looks at the host. */
export function reservedFiles(limit: number): number {
  return Math.min(1_024, Math.max(24, Math.floor(limit / 8)));
}

/** With fewer, what a program opens for itself, its reserve and its listeners leave nothing to serve with. */
export const LEAST_FILES = 128;

/** So few files may be open that the program would run and do nothing. The message says what to do. */
export class FileLimitError extends CodedError<'too-few-files'> {
  override readonly name = 'FileLimitError';
}

/** Throws FileLimitError. */
export function requireFiles(least: number, limit: number = fileLimit()): void {
  if (limit >= least) return;
  throw new FileLimitError(
    'too-few-files',
    `this process may have ${limit} files open and needs ${least} to serve anybody; ` +
      'raise its hard limit to 1024 or more (ulimit -Hn 1024, LimitNOFILE= in the unit, or --ulimit nofile= of the container)',
  );
}

/** Listeners that an agent of this limit holds: half of what is not reserved, so that there is as much to carry flows with. */
export function mostListeners(limit: number): number {
  return Math.floor((limit - reservedFiles(limit)) / 2);
}

/** The least limit with which an agent holds so many listeners. */
export function filesFor(listeners: number): number {
  // Of the limit an eighth is kept, so a seventh of the rest.
  const reserve = Math.min(1_024, Math.max(24, Math.ceil((2 * listeners) / 7)));
  return Math.max(LEAST_FILES, 2 * listeners + reserve);
}

/** Whether this failure, or one of several, is for want of a file or a buffer, and so tells nothing of what was asked for. */
export function isShortage(cause: unknown): boolean {
  if (cause instanceof AggregateError) return cause.errors.some(isShortage);
  return cause instanceof Error && 'code' in cause && SHORTAGES.has(cause.code);
}

const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** Whether no source port was left for a call: who was called may well be there. */
export function isPortless(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EADDRINUSE' || cause.code === 'EADDRNOTAVAIL');
}
