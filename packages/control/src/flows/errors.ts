/** What a question about flows fails by; a record that cannot be kept is counted instead. */
import { CodedError } from '@weft/proto';

/** `thread-ended`: it is being started again. `busy`: too many questions at once. */
export type FlowsErrorCode = 'closed' | 'thread-ended' | 'busy' | 'failed';

export class FlowsError extends CodedError<FlowsErrorCode> {
  override readonly name = 'FlowsError';
}

/** A segment is of a newer version, which may come back to it. */
export class SegmentNewerError extends Error {
  override readonly name = 'SegmentNewerError';
  readonly code = 'segment-newer';
}

/** What a segment holds cannot be: it was cut, swapped or written over, or is of no version that is known. */
export class SegmentDamagedError extends Error {
  override readonly name = 'SegmentDamagedError';
  readonly code = 'segment-damaged';
}
