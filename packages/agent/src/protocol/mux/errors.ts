import { CodedError } from '@weft/proto';

/** What a peer can do wrong with frames. Each is fatal to its tunnel. */
export type MuxErrorCode =
  | 'unknown-frame'
  | 'wrong-length'
  | 'truncated'
  | 'not-last'
  | 'malformed-open'
  | 'malformed-refusal'
  | 'wrong-stream'
  | 'wrong-state'
  | 'window-overrun'
  | 'window-overflow'
  | 'flood';

/** The peer broke the frame protocol: its tunnel has to be closed. */
export class MuxError extends CodedError<MuxErrorCode> {
  override readonly name = 'MuxError';
}

/** A stream cannot be opened here and now: a local limit, or a request that cannot be said in a frame. */
export class OpenError extends CodedError<'too-many-streams' | 'closed' | 'invalid-request'> {
  override readonly name = 'OpenError';
}
