/** Why control's data could not be opened or written. */
export type StoreErrorCode = 'missing' | 'corrupt' | 'too-new' | 'not-weft' | 'unreadable' | 'write-failed';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
