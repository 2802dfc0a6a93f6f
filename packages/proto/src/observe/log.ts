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
 * gets through, so does what was kept. How many lines found no room is told behind it.
 */
function openStderr(tellLost: (lines: number) => void): LogOutput {
  const stderr = pino.destination({ fd: 2, sync: true, maxLength: BACKLOG });
  let lost = 0;
  // pino's own gives up for good behind a broken pipe, and throws all else.
  stderr.removeAllListeners('error').on('error', () => {});
  // What is dropped tries nothing by itself, and nothing fits in a backlog that is full but an empty line.
  stderr.on('drop', () => {
    lost += 1;
    stderr.write('');
  });
  stderr.on('drain', () => {
    const lines = lost;
    lost = 0;
    if (lines > 0) tellLost(lines);
  });
  return stderr;
}

/**
 * A logger whose lines no terminal obeys, whoever said what they hold: pino escapes what is below U+0020 alone, and here what
 * else moves a cursor or turns the direction of writing gets the same form, in which JSON gives it back as it was. Written
 * synchronously: a last line before an exit is not lost.
 */
export function openLog(options: LoggerOptions, output?: LogOutput): Logger {
  const to =
    output ??
    openStderr((lines) =>
      logger.warn({ event: 'log-lost', lines }, 'the log found no room for some time, and lost lines'),
    );
  const logger = pino(options, { write: (line: string) => void to.write(escapeUnseen(line)) });
  return logger;
}
