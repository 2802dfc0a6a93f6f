import { CodedError } from '@weft/proto';

/** What a command asks of the agent of its host cannot be had. */
export class LocalRefusal extends CodedError<
  | 'no-such-peer'
  | 'no-such-process'
  | 'no-such-user'
  | 'not-looked-at'
  | 'not-own'
  | 'not-promised'
  | 'this-host'
  | 'no-agent-file'
> {
  override readonly name = 'LocalRefusal';
}

/** What can go wrong when an agent shows its state, or is asked for it. */
export class StatusSocketError extends CodedError<'status-socket-failed' | 'status-unreadable' | 'question-unknown'> {
  override readonly name = 'StatusSocketError';
}
