/** The data directory cannot be used. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
  readonly code = 'directory';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
