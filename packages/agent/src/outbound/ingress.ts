/** The internet's way in, for the gateway: a flow like any other, with the internet as its caller. */
import type { FlowOutcome } from '@weft/proto';
import type { Deadline } from '../bytes/deadline.ts';
import { endingWith, type Flow } from '../flows/flow.ts';
import { TrackedConduit } from '../flows/tracked.ts';
import type { Conduit, ConduitEvents } from '../words/conduit.ts';
import type { Admitter } from './admit.ts';
import type { Forwarder } from './forward.ts';

export type Ingress =
  /** The service's side of the flow, which is recorded when both its directions are over, and reset when it is cut. */
  | { readonly opened: true; readonly conduit: Conduit }
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
  const tracked = new TrackedConduit(forwarded.conduit, flow, forwarded.remote);
  flow.onCut((reason) => tracked.cut(reason));
  return { opened: true, conduit: endingFlow(tracked, flow) };
}

/** Ends the flow when the conduit does. */
function endingFlow(conduit: Conduit, flow: Flow): Conduit {
  return {
    attach(events: ConduitEvents) {
      conduit.attach({
        data: (piece, owned) => events.data(piece, owned),
        end: () => events.end(),
        drain: () => events.drain(),
        closed(how, cause) {
          flow.end(how, cause?.message);
          events.closed(how, cause);
        },
      });
    },
    write: (piece, owned) => conduit.write(piece, owned),
    end: () => conduit.end(),
    reset() {
      conduit.reset();
      // Its user is done with it, attached or not.
      flow.end('reset', 'closed by the gateway');
    },
    resetWhenWritten: () => conduit.resetWhenWritten(),
    pause: () => conduit.pause(),
    resume: () => conduit.resume(),
  };
}
