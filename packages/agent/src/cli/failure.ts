/** How a command ends that does not get to its end: one place that puts every error into words, and never shows a stack unasked. */
import { CodedError, escapeUnseen, type FieldProblem, isSystemError, systemErrorWords } from '@weft/proto';
import { CommanderError } from 'commander';
import { FileError, type FileProblem } from '../config/errors.ts';
import { CommandError, type ExitCode, UsageError } from './errors.ts';
import { writeJsonLine } from './json.ts';
import { paintErr, type Terminal } from './terminal.ts';

interface Failure {
  readonly code: ExitCode;
  /** Stable, for programs. */
  readonly error: string;
  readonly message: string;
  /** The message is there already, or has no need of the program's name. */
  readonly told?: true;
  readonly problems?: readonly FileProblem[];
  readonly fields?: readonly FieldProblem[];
}

export function failureOf(error: unknown, env: Terminal['env'], signal: AbortSignal): Failure {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '');
    return { code: error.exitCode === 0 ? 0 : 2, error: 'usage', message, told: true };
  }
  if (signal.aborted) {
    const message = error instanceof CommandError && error.code === 'interrupted' ? error.message : 'interrupted';
    return { code: 130, error: 'interrupted', message };
  }
  if (error instanceof FileError) {
    const { code, message, problems } = error;
    return { code: 2, error: code, message, problems };
  }
  if (error instanceof UsageError) return { code: 2, error: error.code, message: error.message };
  if (error instanceof CommandError && error.code === 'denied')
    return { code: 3, error: error.code, message: error.message };
  if (error instanceof CommandError && error.fields.length > 0)
    return { code: 1, error: error.code, message: error.message, fields: error.fields };
  if (error instanceof CodedError) return { code: 1, error: String(error.code), message: error.message };
  if (isSystemError(error)) return { code: 1, error: error.code, message: systemErrorWords(error) };
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error && env.WEFT_LOG_LEVEL === 'debug' ? `\n${error.stack ?? ''}` : '';
  const advice = stack === '' ? '; this is a fault of weft: WEFT_LOG_LEVEL=debug shows where' : stack;
  return { code: 1, error: 'fault', message: `${message}${advice}` };
}

interface Told {
  readonly json: boolean;
  /** Whether the command changes something where all goes well. */
  readonly changes: boolean;
}

/** What is asked of a command line, `argv` without node and script. */
export function toldAs(argv: readonly string[]): Told {
  const end = argv.indexOf('--');
  return { json: (end === -1 ? argv : argv.slice(0, end)).includes('--json'), changes: !ONLY_READS.has(argv[0] ?? '') };
}

/** Commands that are given a file, and never change anything. */
const ONLY_READS: ReadonlySet<string> = new Set(['diff', 'lint']);

/** On stderr: in words, or as one line of JSON. */
export function tellFailure(
  { error, message, told, problems, fields }: Failure,
  { json, changes }: Told,
  terminal: Terminal,
): void {
  const name = paintErr(terminal, 'red', 'weft');
  if (json) writeJsonLine({ out: terminal.err }, 'error', { error: { code: error, message, problems, fields } });
  else if (problems !== undefined) {
    terminal.err(`${escapeUnseen(message)}\n${changes ? `${name}: nothing was changed\n` : ''}`);
  }
  // Commander has said it.
  else if (told !== true) terminal.err(`${name}: ${escapeUnseen(message)}\n`);
}
