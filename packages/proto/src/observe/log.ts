/** The process's log: JSON lines on stderr, so that stdout stays with the commands' own answers. */
import { type Logger, type LoggerOptions, pino } from 'pino';
import { escapeUnseen } from '../model/problem.ts';

interface LogOutput {
  write(line: string): unknown;
}

/** Bytes that are kept while nothing can be written; what comes after them is lost. */
const BACKLOG = 1_048_576;

/**
 * Stderr. Where its reader has gone, its disk is full or its terminal closed, a program goes on without; each line tries again, and once one
 * gets through, so does what was kept.
 */
function openStderr(): LogOutput {
  const stderr = pino.destination({ fd: 2, sync: true, maxLength: BACKLOG });
  // pino's own gives up for good behind a broken pipe, and throws all else.
  stderr.removeAllListeners('error').on('error', () => {});
  return stderr;
}

/**
 * A logger whose lines no terminal obeys, whoever said what they hold: pino escapes what is below U+0020 alone, and here what
 * else moves a cursor or turns the direction of writing gets the same form, in which JSON gives it back as it was. Written
 * synchronously: a last line before an exit is not lost.
 */
export function openLog(options: LoggerOptions, output: LogOutput = openStderr()): Logger {
  return pino(options, { write: (line: string) => void output.write(escapeUnseen(line)) });
}
