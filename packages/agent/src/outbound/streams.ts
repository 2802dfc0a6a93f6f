/** TCP from this host's programs: one listener a place, one story a connection. */
import type { Logger } from 'pino';
import type { Conduit } from '../connections/conduit.ts';
import { endingOf } from '../connections/ending.ts';
import { endingWith } from '../connections/flow.ts';
import type { PortSharing } from '../connections/port-sharing.ts';
import { listenConduits } from '../connections/socket-listen.ts';
import { splice } from '../connections/splice.ts';
import { TrackedConduit } from '../connections/tracked.ts';
import type { Admitter } from './admit.ts';
import type { Forwarder } from './forward.ts';
import type { BoundPlace } from './listeners.ts';
import { type Place, placeName } from './places.ts';

export interface StreamsOptions {
  readonly log: Logger;
  readonly admitter: Admitter;
  readonly forwarder: Forwarder;
  /** When several threads listen on the place. */
  readonly share?: PortSharing;
}

/** Listens on a place. Rejects with what bind says. */
export function bindStreams(place: Place, options: StreamsOptions): Promise<BoundPlace> {
  const { log, share } = options;
  const where = { host: place.address, port: place.port, ...(share === undefined ? {} : { share }) };
  const onError = (err: Error) =>
    log.warn({ event: 'accept-failed', place: placeName(place), err }, 'accepting failed');
  return listenConduits({ ...where, onError }, (client) => {
    carry(client, place, options).catch((err: unknown) => {
      // One connection that goes wrong in an unforeseen way is its own end, not the agent's.
      client.reset();
      log.error({ event: 'outbound-flow-failed', place: placeName(place), err }, 'a call failed');
    });
  });
}

/** identify → decide → track → forward → record */
async function carry(client: Conduit, place: Place, { admitter, forwarder }: StreamsOptions): Promise<void> {
  const admitted = admitter.local(place);
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
  const upstream = new TrackedConduit(forwarded.conduit, flow, forwarded.remote);
  flow.onCut((reason) => {
    upstream.cut(reason);
    client.reset();
  });
  splice(client, upstream, (result) => flow.end(...endingOf(result)));
}
