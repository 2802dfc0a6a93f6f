/** Whether a Hello comes from the agent it names. */
import { status } from '@grpc/grpc-js';
import { helloMessage, type pb } from '@weft/proto/wire';
import { isSignedBy } from '../enroll/signature.ts';
import type { AgentState, StateStore } from '../state/types.ts';

/** What ends a stream: a gRPC status, and a last word before it where the agent is to do more than try again. */
export interface Refusal {
  readonly code: status;
  readonly details: string;
  readonly lastWord?: pb.Outgoing<pb.ControlMessage>;
}

export type Authenticated =
  | { readonly accepted: true; readonly agent: AgentState }
  | { readonly accepted: false; readonly refusal: Refusal };

export function ended(reason: string): Refusal {
  return { code: status.PERMISSION_DENIED, details: reason, lastWord: { revoked: { reason } } };
}

/** It keeps what it holds, for nobody has taken it back. */
export function held(reason: string, more: { readonly retryMs?: number; readonly unknown?: true } = {}): Refusal {
  return { code: status.FAILED_PRECONDITION, details: reason, lastWord: { held: { reason, ...more } } };
}

/** `nonce` is the challenge's, `pin` that of control's own certificate, 32 bytes each. */
export function authenticate(
  state: StateStore,
  { nonce, pin }: { readonly nonce: Uint8Array; readonly pin: Uint8Array },
  hello: pb.Hello,
): Authenticated {
  const { agentId, signature } = hello;
  const network = state.current.networks.get(state.current.agents.get(agentId) ?? '');
  const agent = network?.agents.get(agentId);
  const former = agent === undefined ? state.endedAgent(agentId) : undefined;
  const key = agent?.identityKey ?? former?.identityKey;
  // A stranger costs no signature check. That it is not known here is no word of an operator's: this data may be an older copy.
  if (key === undefined) return refuse(held(UNKNOWN, { unknown: true }));
  if (!isSignedBy(key, helloMessage(nonce, pin, agentId), signature)) {
    return refuse({ code: status.UNAUTHENTICATED, details: 'signature: not made by the identity key of this agent' });
  }
  if (agent === undefined) return refuse(ended(former?.reason ?? 'the membership ended'));
  return { accepted: true, agent };
}

const UNKNOWN =
  'control knows no such agent. Where control was restored from an older copy, restore a newer one; ' +
  'where this host is to join anew, start it with a new token and another directory (--data)';

function refuse(refusal: Refusal): Authenticated {
  return { accepted: false, refusal };
}
