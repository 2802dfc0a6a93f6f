/** The process's log: JSON lines on stderr, so that stdout stays with the commands' own answers. */
import { constants, fstatSync, openSync } from 'node:fs';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { escapeUnseen } from '../model/problem.ts';

interface LogOutput {
  write(line: string): unknown;
}

/** Bytes that are kept while nothing can be written; what comes after them is lost. */
const BACKLOG = 1_048_576;
/** What is kept is tried again after so long, and twice as long each time while its reader does not read: nobody tells when it does. */
const AGAIN_MS = { least: 10, most: 320 };
/** How long an exit waits for a reader that is slow. */
const LAST_MS = 300;

/**
 * Stderr. Where its reader has gone or does not read, its disk is full or its terminal closed or held, a program goes on without; each line tries again, and once one
 * gets through, so does what was kept. How many lines found no room is told behind it.
 */
function openStderr(tellLost: (lines: number) => void): LogOutput {
  let waitsUntil = 0;
  const retryEAGAIN = () => performance.now() < waitsUntil;
  const stderr = pino.destination({ fd: descriptor(), sync: true, maxLength: BACKLOG, retryEAGAIN });
  let lost = 0;
  let again: NodeJS.Timeout | undefined;
  let againMs = AGAIN_MS.least;
  const retry = () => {
    again = undefined;
    stderr.write('');
  };
  // pino's own gives up for good behind a broken pipe, and throws all else.
  stderr.removeAllListeners('error').on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code !== 'EAGAIN' || again !== undefined) return;
    again = setTimeout(retry, againMs).unref();
    againMs = Math.min(2 * againMs, AGAIN_MS.most);
  });
  stderr.on('write', () => {
    againMs = AGAIN_MS.least;
  });
  const tell = () => {
    const lines = lost;
    lost = 0;
    if (lines > 0) tellLost(lines);
  };
  let trying: boolean = false;
  // What is dropped tries nothing by itself, and nothing fits in a backlog that is full but an empty line. The line that finds room again is not lost: it may be the last.
  stderr.on('drop', (line: string) => {
    if (trying) {
      lost += 1;
      return;
    }
    const before = lost;
    trying = true;
    stderr.write('');
    stderr.write(line);
    trying = false;
    if (lost === before) tell();
  });
  stderr.on('drain', tell);
  process.once('exit', () => {
    waitsUntil = performance.now() + LAST_MS;
    // Its flushSync would try for ever where a disk is full.
    stderr.write('');
  });
  return stderr;
}

/**
 * One that does not block. A pipe and a terminal are opened anew for that: who else has them would find them changed. Of what cannot be, such as
 * a socket, Node makes it so when it is first asked for it, in the main thread and for all.
 */
function descriptor(): number {
  try {
    const stat = fstatSync(2);
    if (stat.isFIFO() || stat.isCharacterDevice())
      return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Another system, or another user's.
  }
  const { fd = 2 } = process.stderr as Partial<typeof process.stderr>;
  return fd;
}

/**
 * A logger whose lines no terminal obeys, whoever said what they hold: pino escapes what is below U+0020 alone, and here what
 * else moves a cursor or turns the direction of writing gets the same form, in which JSON gives it back as it was. Written
 * synchronously: a last line before an exit is not lost.
 */
export function openLog(options: LoggerOptions, output?: LogOutput): Logger {
  const to =
    output ??
    openStderr((lines) => {
      // Whatever is not logged there, that lines of what is were lost is.
      const level = logger.isLevelEnabled('warn') ? 'warn' : 'fatal';
      logger[level]({ event: 'log-lost', lines }, 'the log found no room for some time, and lost lines');
    });
  const logger = pino(options, { write: (line: string) => void to.write(escapeUnseen(line)) });
  return logger;
}
