/** TCP from this host's programs: one listener a declared port, one story a connection. */
import { defined, listenerName } from '@weft/proto';
import type { Logger } from 'pino';
import { NO_FILE, type OpenFiles } from '../bytes/open-files.ts';
import type { PortSharing } from '../bytes/port-sharing.ts';
import { listenConduits, type Remote } from '../bytes/socket-listen.ts';
import { splice } from '../bytes/splice.ts';
import { endingOf, endingWith } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import type { Conduit } from '../words/conduit.ts';
import type { Call } from './call.ts';
import type { Admitter, Forwarder } from './forward.ts';
import type { ListenerSpec } from './listener-spec.ts';
import type { BoundListener } from './listeners.ts';
import type { OwnCallers } from './own-callers.ts';
import type { Speaker, Speakers } from './speakers.ts';

export interface StreamsOptions {
  readonly log: Logger;
  readonly admitter: Admitter;
  readonly forwarder: Forwarder;
  readonly speakers: Pick<Speakers, 'of'>;
  readonly files: OpenFiles;
  /** When several threads share the listener. */
  readonly share?: PortSharing;
  readonly callers: Pick<OwnCallers, 'refuses'>;
}

/** Listens on a listener. Rejects with what bind says. */
export function bindStreams(spec: ListenerSpec, options: StreamsOptions): Promise<BoundListener> {
  const { log, share, files, callers } = options;
  const where = { host: spec.address, port: spec.port, files, ...defined({ share }) };
  const onError = (err: Error) =>
    log.warn({ event: 'accept-failed', listener: listenerName(spec), err }, 'accepting failed');
  return listenConduits({ ...where, onError }, (client, remote) => {
    if (callers.refuses(remote.address, spec)) client.reset();
    else takeStream(client, remote, spec, options);
  });
}

/** A connection from who may call there. */
export function takeStream(
  client: Conduit,
  { descriptor, address, port }: Remote,
  spec: ListenerSpec,
  options: Pick<StreamsOptions, 'admitter' | 'forwarder' | 'speakers' | 'files' | 'log'>,
): void {
  const full = options.files.spares(descriptor) ? undefined : NO_FILE;
  const speaker = options.speakers.of(spec, { host: address, port });
  carryStream(client, spec, options, speaker, full).catch((err: unknown) => {
    // One connection that goes wrong in an unforeseen way is its own end, not the agent's.
    client.reset();
    options.log.error({ event: 'outbound-flow-failed', listener: listenerName(spec), err }, 'a call failed');
  });
}

/** identify → decide → track → forward → record */
export async function carryStream(
  client: Conduit,
  call: Call,
  { admitter, forwarder }: Pick<StreamsOptions, 'admitter' | 'forwarder'>,
  speaker: Speaker | Promise<Speaker>,
  full?: string,
): Promise<void> {
  const admitted = admitter.local(call, speaker instanceof Promise ? await speaker : speaker, full);
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
