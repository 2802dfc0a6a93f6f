/** What programs of this host may ask the agent over the socket in its directory, and how it says that it has no answer. */
import { CodedError, messageOf } from '@weft/proto';
import { FileError, type FileProblem } from '../config/errors.ts';
import { StatusSocketError } from './errors.ts';

/** One JSON object in one line; who says nothing asks for the status. */
export type LocalQuestion = { readonly ask: 'status' };

/** In place of an answer. */
export interface LocalFailure {
  readonly error: {
    readonly code: string;
    readonly message: string;
    /** What is wrong with which file, where that is the cause. */
    readonly wrong?: { readonly file: string; readonly problems: readonly FileProblem[] };
  };
}

/** Throws StatusSocketError. */
export function readQuestion(line: string): LocalQuestion {
  if (line.trim() === '') return { ask: 'status' };
  try {
    const question = JSON.parse(line) as Partial<LocalQuestion> | null;
    if (question?.ask === 'status') return { ask: 'status' };
  } catch {
    // Told below, as any other.
  }
  throw new StatusSocketError(
    'question-unknown',
    'this agent does not know what it is asked; is it older than who asks?',
  );
}

export function toFailure(error: unknown): LocalFailure {
  const code = error instanceof CodedError || error instanceof FileError ? String(error.code) : 'fault';
  const message = messageOf(error);
  if (!(error instanceof FileError)) return { error: { code, message } };
  return { error: { code, message, wrong: { file: error.file, problems: error.problems } } };
}

/** What the agent threw, as far as it was told. */
export function fromFailure({ error: { code, message, wrong } }: LocalFailure): Error {
  if (wrong === undefined) return new CodedError(code, message);
  return new FileError(code === 'file-unreadable' ? code : 'file-invalid', wrong.file, wrong.problems);
}
