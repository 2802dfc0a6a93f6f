/** What can go wrong between an agent, its directory and control. */
import { CodedError } from '@weft/proto';

export type AgentErrorCode =
  /** The directory or a file in it cannot be used. */
  | 'state-unusable'
  /** Another agent runs in the same directory. */
  | 'already-running'
  /** A first start without a token. */
  | 'token-missing'
  /** A token that cannot be read, or that is for another control. */
  | 'token-wrong'
  /** Control was reached and said no. */
  | 'join-refused'
  /** Control was not reached. */
  | 'control-unreachable'
  /** A port that the agent cannot do without cannot be listened on. */
  | 'listen-failed'
  /** A thread of the agent ended unasked. */
  | 'worker-failed'
  /** A service's target is an address that the agent itself listens on. */
  | 'target-loops'
  /** --vip-range is not an address range of this host. */
  | 'range-not-local';

/** The message says what failed, why, and what to do. */
export class AgentError extends CodedError<AgentErrorCode> {
  override readonly name = 'AgentError';
}
