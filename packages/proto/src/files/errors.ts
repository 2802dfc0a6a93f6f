import { CodedError } from '../model/errors.ts';

/** A file or directory that a program keeps its state in cannot be used. The message says which, why, and what to do. */
export class FileError extends CodedError<'in-use' | 'unreadable' | 'unusable' | 'unwritable'> {
  override readonly name = 'FileError';
}
