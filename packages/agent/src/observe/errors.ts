import { CodedError } from '@weft/proto';

/** What can go wrong when an agent shows its state, or is asked for it. */
export class StatusSocketError extends CodedError<'status-socket-failed' | 'status-unreadable' | 'question-unknown'> {
  override readonly name = 'StatusSocketError';
}
