/** The data directory cannot be used. */
export class DirectoryError extends Error {
  readonly code = 'directory';

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DirectoryError';
  }
}
