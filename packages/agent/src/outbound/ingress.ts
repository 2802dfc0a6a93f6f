/** The internet's way in, for the gateway: a flow like any other, with the internet as its caller. */
import type { FlowOutcome } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import { endingWith } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import type { Conduit } from '../words/conduit.ts';
import type { Admitter } from './admit.ts';
import type { Forwarder } from './forward.ts';

export type Ingress =
  /** The service's side of the flow, which is recorded when both its directions are over, and reset when it is cut. */
  | {
      readonly opened: true;
      readonly conduit: Conduit;
      /** Ends the flow as one that the service did not answer in time; the conduit is still to be reset. */
      unanswered(): void;
    }
  /** Already recorded; the outcome says what to tell the client. */
  | { readonly opened: false; readonly outcome: FlowOutcome };

/** Opens a flow to the service's port. `clientAddress` is for records. The deadline is of the opening alone. */
export async function openIngress(
  { admitter, forwarder }: { readonly admitter: Admitter; readonly forwarder: Forwarder },
  service: string,
  port: number,
  clientAddress: string,
  deadline: Deadline,
): Promise<Ingress> {
  const admitted = admitter.internet({ service, ordinal: undefined, port, protocol: 'tcp' }, clientAddress);
  if (!admitted.admitted) return { opened: false, outcome: admitted.refusal.code };
  const { flow } = admitted.out;
  const forwarded = await endingWith(flow, forwarder.stream(admitted.out, deadline));
  if (forwarded === undefined) return { opened: false, outcome: flow.outcome ?? 'unreachable' };
  const { conduit, remote } = forwarded;
  const unanswered = () => {
    // The destination knows of a reset alone, and records that; why, only its source can tell.
    if (remote) flow.sever();
    flow.end('unanswered');
  };
  return { opened: true, conduit: new FlowConduit(conduit, flow, { remote, ends: true }), unanswered };
}
