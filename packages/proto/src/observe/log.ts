/** The process's log: JSON lines on stderr, so that stdout stays with the commands' own answers. */
import { type Logger, type LoggerOptions, pino } from 'pino';
import { escapeUnseen } from '../model/problem.ts';

interface LogOutput {
  write(line: string): unknown;
}

/**
 * A logger whose lines no terminal obeys, whoever said what they hold: pino escapes what is below U+0020 alone, and here what
 * else moves a cursor or turns the direction of writing gets the same form, in which JSON gives it back as it was. Written
 * synchronously: a last line before an exit is not lost.
 */
export function openLog(options: LoggerOptions, output: LogOutput = pino.destination({ fd: 2, sync: true })): Logger {
  return pino(options, { write: (line: string) => void output.write(escapeUnseen(line)) });
}
