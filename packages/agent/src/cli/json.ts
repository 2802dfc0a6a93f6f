/** Answers for programs: one object each, with its version, in the words of the .proto files, so that CLI and API are read alike. */
import { escapeUnseen } from '@weft/proto';
import type { Answering, AnswerOf } from './schemas/index.ts';
import { snakeCase } from './snake-case.ts';
import type { Terminal } from './terminal.ts';

/** Goes up when a field goes away or means something else; `weft schema COMMAND` tells what it has. */
const VERSION = 1;

/** Writes what a command answers, indented. */
export function writeJson<Command extends Answering>(
  terminal: Terminal,
  _command: Command,
  answer: AnswerOf<Command>,
): void {
  writeJsonAsIs(terminal, { version: VERSION, ...(snakeKeys(answer) as object) });
}

/** The same, of an answer whose keys are somebody else's. */
export function writeJsonInOwnWords(terminal: Terminal, answer: object): void {
  writeJsonAsIs(terminal, { version: VERSION, ...answer });
}

/** What is no answer and has no version of ours. */
export function writeJsonAsIs(terminal: Terminal, value: unknown): void {
  terminal.out(`${escapeUnseen(JSON.stringify(value, undefined, 2))}\n`);
}

/** In one line, of a command that writes one for each of what it tells. */
export function writeJsonLine<Command extends Answering>(
  terminal: Pick<Terminal, 'out'>,
  _command: Command,
  answer: AnswerOf<Command>,
): void {
  terminal.out(`${escapeUnseen(JSON.stringify({ version: VERSION, ...(snakeKeys(answer) as object) }))}\n`);
}

/** The keys of an answer, all the way down. */
export function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [snakeCase(key), snakeKeys(entry)]));
}
