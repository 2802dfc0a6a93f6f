/** What is wrong with a file that a person wrote. */

import { escapeUnseen } from '@weft/proto';

/** One thing wrong, where it stands. Lines and columns count from 1; 0 when the whole file is meant. */
export interface FileProblem {
  readonly line: number;
  readonly column: number;
  /** What was found and what was expected. */
  readonly message: string;
}

/** More would scroll the first ones away. */
const MAX_TOLD = 50;

/** All that is wrong with one file, in the file's order. Nothing of the file was used. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: 'file-unreadable' | 'file-invalid';
  readonly file: string;
  readonly problems: readonly FileProblem[];

  constructor(
    code: 'file-unreadable' | 'file-invalid',
    file: string,
    problems: readonly FileProblem[],
    options?: ErrorOptions,
  ) {
    const ordered = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
    // One mistake may be found in two ways, and is told once.
    const lines = [...new Set(ordered.map((problem) => formatProblem(file, problem)))];
    const told = lines.slice(0, MAX_TOLD);
    if (lines.length > MAX_TOLD) told.push(`${file}: and ${lines.length - MAX_TOLD} more`);
    super(told.join('\n'), options);
    this.code = code;
    this.file = file;
    this.problems = ordered;
  }
}

/** `mesh.yaml:3:14: message`, the form that editors jump to. */
export function formatProblem(file: string, problem: FileProblem): string {
  const place = problem.line === 0 ? file : `${file}:${problem.line}:${problem.column}`;
  return escapeUnseen(`${place}: ${problem.message}`);
}
