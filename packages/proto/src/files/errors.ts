/** A file or directory that a program keeps its state in cannot be used. The message says which, why, and what to do. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: 'in-use' | 'unreadable' | 'unusable' | 'unwritable';

  constructor(code: FileError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
