/** Answers for programs: the words of the .proto files, so that the CLI and the API are read alike. */
import { escapeUnseen } from '@weft/proto';
import type { Terminal } from './terminal.ts';

/** Writes one JSON value, indented, with keys as the .proto files write them. */
export function writeJson(terminal: Terminal, value: unknown): void {
  writeJsonAsIs(terminal, snakeKeys(value));
}

/** The same, of a value that has the words it is to have. */
export function writeJsonAsIs(terminal: Terminal, value: unknown): void {
  terminal.out(`${escapeUnseen(JSON.stringify(value, undefined, 2))}\n`);
}

/** Writes one JSON value in one line. */
export function writeJsonLine(terminal: Pick<Terminal, 'out'>, value: unknown): void {
  terminal.out(`${escapeUnseen(JSON.stringify(snakeKeys(value)))}\n`);
}

function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeKeys(entry),
    ]),
  );
}
