import { CodedError } from '@weft/proto';

export type RecordErrorCode =
  /** More plaintext than a record may hold, or a peer's length over the bound. */
  | 'oversized'
  /** A record without a byte of plaintext. */
  | 'undersized'
  /** The tag did not prove: altered, replayed, reordered, or another key. */
  | 'forged'
  /** The key has sealed or opened as many records as it may. */
  | 'exhausted'
  /** Used again after it failed or was closed. */
  | 'closed';

/** Ends the connection, always: after it the two sides' counters cannot be trusted to agree. */
export class RecordError extends CodedError<RecordErrorCode> {
  override readonly name = 'RecordError';
}
