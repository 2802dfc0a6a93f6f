/** TCP from this host's programs: one listener a declared port, one story a connection. */
import { defined, listenerName } from '@weft/proto';
import type { Logger } from 'pino';
import type { PortSharing } from '../bytes/port-sharing.ts';
import { listenConduits } from '../bytes/socket-listen.ts';
import { splice } from '../bytes/splice.ts';
import { endingOf } from '../flows/ending.ts';
import { endingWith } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import type { Conduit } from '../words/conduit.ts';
import type { Admitter } from './admit.ts';
import type { Forwarder } from './forward.ts';
import type { ListenerSpec } from './listener-spec.ts';
import type { BoundListener } from './listeners.ts';

export interface StreamsOptions {
  readonly log: Logger;
  readonly admitter: Admitter;
  readonly forwarder: Forwarder;
  /** When several threads share the listener. */
  readonly share?: PortSharing;
}

/** Listens on a listener. Rejects with what bind says. */
export function bindStreams(spec: ListenerSpec, options: StreamsOptions): Promise<BoundListener> {
  const { log, share } = options;
  const where = { host: spec.address, port: spec.port, ...defined({ share }) };
  const onError = (err: Error) =>
    log.warn({ event: 'accept-failed', listener: listenerName(spec), err }, 'accepting failed');
  return listenConduits({ ...where, onError }, (client) => {
    carry(client, spec, options).catch((err: unknown) => {
      // One connection that goes wrong in an unforeseen way is its own end, not the agent's.
      client.reset();
      log.error({ event: 'outbound-flow-failed', listener: listenerName(spec), err }, 'a call failed');
    });
  });
}

/** identify → decide → track → forward → record */
async function carry(client: Conduit, spec: ListenerSpec, { admitter, forwarder }: StreamsOptions): Promise<void> {
  const admitted = admitter.local(spec);
  if (!admitted.admitted) {
    client.reset();
    return;
  }
  const { flow } = admitted.out;
  const forwarded = await endingWith(flow, forwarder.stream(admitted.out));
  if (forwarded === undefined) {
    client.reset();
    return;
  }
  const { conduit, remote } = forwarded;
  const upstream = new FlowConduit(conduit, flow, { remote, cut: () => client.reset() });
  splice(client, upstream, (result) => flow.end(...endingOf(result)));
}
