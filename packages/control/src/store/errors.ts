import { CodedError } from '@weft/proto';

/** Why control's data could not be opened or written. */
export type StoreErrorCode = 'missing' | 'corrupt' | 'too-new' | 'too-old' | 'not-weft' | 'unreadable' | 'write-failed';

export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError';
}
