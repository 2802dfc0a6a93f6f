/** What the system refuses, in words for who gave the command. */
import { accessSync, statSync } from 'node:fs';

export type SystemError = Error & { readonly code: string; readonly syscall: string; readonly path?: string };

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && 'syscall' in error && typeof error.code === 'string';
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a part of the path is no directory',
  EISDIR: 'it is a directory',
  ENOSPC: 'the disk is full',
  EDQUOT: "this user's share of the disk is full",
  EROFS: 'the disk takes no writes',
  EIO: 'the disk or the terminal fails',
  EPIPE: 'nobody reads it any more',
  EMFILE: 'too many files are open; raise ulimit -n',
};

/** `cannot mkdir /srv/weft: this user may not (EACCES)`. */
export function systemErrorWords({ code, syscall, path = '', message }: SystemError): string {
  const reason = REASONS[code];
  return reason === undefined ? message : `cannot ${syscall}${path === '' ? '' : ` ${path}`}: ${reason} (${code})`;
}

/** The streams of a process, as far as their ends matter. */
export interface Streams {
  readonly stdout: NodeJS.EventEmitter;
  readonly stderr: NodeJS.EventEmitter;
}

/**
 * Output that cannot be written ends the program: in order where a reader such as head has seen enough, else by `fail`; but not one that
 * `serves`, for nothing that it does then hangs on who reads its output. What goes to stderr is only said, and a program goes on without.
 */
export function endWithOutput(
  { stdout, stderr }: Streams,
  exit: (code: 0) => void,
  fail: (error: Error) => void,
  serves: () => boolean,
): void {
  stderr.on('error', () => {});
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (serves()) return;
    if (error.code === 'EPIPE') exit(0);
    else fail(error);
  });
}

/** Whether who asks may do this with it: bits of access(2), such as `constants.R_OK`. */
export function mayAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** Whether nothing is there. What who asks may not see, or the disk does not tell, may be there: that is no absence. */
export function isAbsent(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (error) {
    return isSystemError(error) && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
  }
}
