/** The process's log: JSON lines on stderr, so that stdout stays with the commands' own answers. */
import { constants, fstatSync, openSync, readFileSync } from 'node:fs';
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

let opened: LogOutput | undefined;

/** A second logger of this thread, as of what ends the program, has what the first one keeps before its own lines. */
function stderrOfThread(tellLost: (lines: number) => void): LogOutput {
  opened ??= openStderr(tellLost);
  return opened;
}

/**
 * One that does not block. A pipe and a terminal are opened anew for that: who else has them would find them changed. Of what cannot be, such as
 * a socket, Node makes it so when it is first asked for it, in the main thread and for all; a terminal stays as it is.
 */
function descriptor(): number {
  for (const path of placesAnew()) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    } catch {
      // Another system, or another user's, as under su.
    }
  }
  const { fd = 2 } = process.stderr as Partial<typeof process.stderr>;
  return fd;
}

/** Who may not open the controlling terminal by its own name may by this one. */
function placesAnew(): readonly string[] {
  const stat = fstatSync(2);
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return [];
  return ['/proc/self/fd/2', ...(stat.rdev === controllingTerminal() ? ['/dev/tty'] : [])];
}

/** Its device, by proc(5). Undefined where there is none. */
function controllingTerminal(): number | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // Behind the program's name, which may hold anything: state, parent, group, session, terminal.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4]) || undefined;
  } catch {
    return undefined;
  }
}

/**
 * A logger whose lines no terminal obeys, whoever said what they hold: pino escapes what is below U+0020 alone, and here what
 * else moves a cursor or turns the direction of writing gets the same form, in which JSON gives it back as it was. Written
 * synchronously: a last line before an exit is not lost.
 */
export function openLog(options: LoggerOptions, output?: LogOutput): Logger {
  const to = output ?? stderrOfThread(tellLost);
  const logger = pino(options, { write: (line: string) => void to.write(escapeUnseen(line)) });
  return logger;

  function tellLost(lines: number): void {
    // Whatever is not logged there, that lines of what is were lost is.
    const level = logger.isLevelEnabled('warn') ? 'warn' : 'fatal';
    logger[level]({ event: 'log-lost', lines }, 'the log found no room for some time, and lost lines');
  }
}
