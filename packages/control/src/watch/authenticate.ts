/** Whether a Hello comes from the agent it names. */
import { status } from '@grpc/grpc-js';
import { helloMessage, type pb } from '@weft/proto/wire';
import { isSignedBy } from '../enroll/signature.ts';
import type { AgentState, StateStore } from '../state/types.ts';

/** What ends a stream: a gRPC status, and for a membership that is over the Revoked message's reason before it. */
export interface Refusal {
  readonly code: status;
  readonly details: string;
  readonly revoked?: string;
}

export type Authenticated =
  | { readonly accepted: true; readonly agent: AgentState }
  | { readonly accepted: false; readonly refusal: Refusal };

export function ended(reason: string): Refusal {
  return { code: status.PERMISSION_DENIED, details: reason, revoked: reason };
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
  // A stranger costs no signature check. It is told that it is no member: control answers for every network it holds.
  if (key === undefined) return refuse(ended('control knows no such agent; join again with a new token'));
  if (!isSignedBy(key, helloMessage(nonce, pin, agentId), signature)) {
    return refuse({ code: status.UNAUTHENTICATED, details: 'signature: not made by the identity key of this agent' });
  }
  if (agent === undefined) return refuse(ended(former?.reason ?? 'the membership ended'));
  return { accepted: true, agent };
}

function refuse(refusal: Refusal): Authenticated {
  return { accepted: false, refusal };
}
