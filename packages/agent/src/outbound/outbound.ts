/** The agent's outbound side: what this host's programs call, and what its gateway lets in. */
import type { Socket } from 'node:dgram';
import { defined, type FlowOutcome } from '@weft/proto';
import type { Logger } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { Remote } from '../bytes/socket-listen.ts';
import { endingWith, type Flow } from '../flows/flow.ts';
import { FlowConduit } from '../flows/flow-conduit.ts';
import { type Outside, runsHere } from '../flows/judge.ts';
import type { FlowRegistry } from '../flows/registry.ts';
import type { InboundPath } from '../inbound/inbound.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import type { Owners } from '../owner/owners.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { CallerConduit, Conduit } from '../words/conduit.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import { bindFirst, type ListenerSharing } from './bind-shared.ts';
import type { Call } from './call.ts';
import { Chooser } from './choose.ts';
import { OutboundDatagrams } from './datagrams.ts';
import { Admitter, Forwarder } from './forward.ts';
import { SHARE_PROBLEM, shareListeners, shareProblem } from './listener-share.ts';
import { type ListenerSpec, listenerSpecs } from './listener-spec.ts';
import { type BoundListener, Listeners } from './listeners.ts';
import type { OwnCallers } from './own-callers.ts';
import { Speakers, type SpeakersOptions } from './speakers.ts';
import { bindStreams, type StreamsOptions, takeCall, takeStream } from './streams.ts';

export interface OutboundOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly tunnels: Pick<Tunnels, 'openStream' | 'openDatagrams' | 'promising'>;
  /** This host's own instances: called without a tunnel, never without a verdict. */
  readonly inbound: Pick<InboundPath, 'dialer' | 'services'> & {
    readonly watch: Pick<TargetWatch, 'listening' | 'portUse' | 'firstUsers' | 'onChange'>;
  };
  readonly problems: Problems;
  readonly log: Logger;
  readonly files: OpenFiles;
  /** Closes every listener when aborted. */
  readonly signal: AbortSignal;
  readonly callers: Pick<OwnCallers, 'refuses' | 'refused'>;
  /** Who makes a call, where that must be known. */
  readonly owners: SpeakersOptions['owners'] & Partial<Pick<Owners, 'holders'>>;
  /** Idle time of a UDP flow, milliseconds. */
  readonly idleMs?: number;
  /** Clients of UDP listeners known at once. */
  readonly datagramClients?: number;
  /** Wait before a port that could not be bound is tried again. */
  readonly retryMs?: number;
  /** All tries to reach an instance together. */
  readonly forwardMs?: number;
  /** When several threads share the listeners. */
  readonly sharing?: ListenerSharing;
  /** Where connections of listeners may be taken instead. */
  readonly elsewhere?: StreamsOptions['elsewhere'];
  /** Listeners at once: files are for flows too. */
  readonly mostListeners?: number;
  /** Where the turns of instances begin. */
  readonly firstTurn?: number;
}

/** What programs of one place speak as. */
export type SideSpeakers = Pick<Speakers, 'of' | 'same' | 'unknown'>;

/** As this host's own programs call, from elsewhere. */
export interface OutboundSide {
  /** A connection that was made to the listener's place. */
  stream(client: CallerConduit, remote: Remote, spec: ListenerSpec): void;
  /** Answers at a socket that is bound there. */
  datagrams(spec: ListenerSpec, socket: Socket): BoundListener;
  /** A call that leaves the mesh, as `Admitter.outside`. */
  outside(call: Pick<Call, 'port' | 'protocol'>, outside: Outside, full?: string): Flow | undefined;
}

export interface Outbound {
  /** For programs that call from a place of their own, and of which it is known what they speak as. */
  side(speakers: SideSpeakers): OutboundSide;
  /** For the gateway. The deadline is of the opening alone. `full` says why there is no room for it, if so. */
  openIngress(
    service: string,
    port: number,
    clientAddress: string,
    deadline: Deadline,
    full?: string,
  ): Promise<Ingress>;
  /** A connection that another thread has accepted at the listener. */
  accepted(client: CallerConduit, remote: Remote, spec: ListenerSpec): void;
  /** Resolves when every listener that the netmap of now wants has been bound or has failed. */
  settled(): Promise<void>;
  /** How many listeners are bound. */
  readonly listening: number;
  /** UDP datagrams dropped here since the start. */
  readonly datagramsDropped: number;
  /** Connections and datagrams of other hosts that were refused here since the start. */
  readonly callersRefused: number;
}

/** Listens for the netmap of now, and from then on for each that follows. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { netmap, registry, tunnels, inbound, problems, log, files, signal, sharing, callers, owners } = options;
  const declared = inbound.services;
  const chooser = new Chooser(inbound.watch, tunnels, options.firstTurn);
  const speakers = new Speakers({ netmap, services: declared, watch: inbound.watch, owners, problems });
  const admitter = new Admitter({ netmap, registry, declared });
  const forwarder = new Forwarder({
    netmap,
    declared,
    tunnels,
    dialer: inbound.dialer,
    chooser,
    ...defined({ totalMs: options.forwardMs }),
  });
  const datagrams = new OutboundDatagrams({
    admitter,
    forwarder,
    speakers,
    log,
    files,
    problems,
    callers,
    ...defined({ idleMs: options.idleMs, limit: options.datagramClients }),
  });
  const share = sharing?.share;
  const streams = {
    ...{ admitter, forwarder, speakers, log, files, callers },
    ...defined({ share, elsewhere: options.elsewhere }),
  };
  const bind = (spec: ListenerSpec) =>
    spec.protocol === 'tcp' ? bindStreams(spec, streams) : datagrams.bind(spec, share);
  const listeners = new Listeners({
    bind: sharing?.share === 'first' ? (spec) => bindFirst(spec, bind, sharing.followers) : bind,
    portUse: (port, protocol) => inbound.watch.portUse(port, protocol),
    runsHere: (service) => runsHere(netmap.current, declared, service) !== undefined,
    problems,
    ...(owners.holders && { holders: owners.holders.bind(owners) }),
    ...defined({ retryMs: options.retryMs }),
  });
  const ownShare = () => {
    const wanted = listenerSpecs(netmap.current);
    const share = shareListeners(wanted, options.mostListeners ?? Number.POSITIVE_INFINITY);
    const problem = shareProblem(share, wanted.size, files.limit);
    if (problem === undefined) problems.clear(SHARE_PROBLEM.code, SHARE_PROBLEM.subject);
    else problems.raise(problem);
    return share.listeners;
  };
  const reconcile = () => {
    if (signal.aborted) return;
    listeners.reconcile(sharing?.share === 'join' ? sharing.listeners.current : ownShare());
  };
  netmap.subscribe('listeners', (next, previous) => {
    speakers.changed();
    reconcile();
    chooser.prune(next);
    // The same again: this host's services have changed, and with them whom its programs speak as.
    if (next === previous || next.revision !== previous.revision) datagrams.reconsider();
  });
  inbound.watch.onChange(() => {
    speakers.usersChanged();
    reconcile();
  });
  if (sharing?.share === 'join') sharing.listeners.onChange(reconcile);
  signal.addEventListener(
    'abort',
    () => {
      listeners.close();
      datagrams.close();
    },
    { once: true },
  );
  reconcile();
  return {
    side: (theirs) => ({
      stream: (client, remote, spec) =>
        takeStream(client, remote, spec, { admitter, forwarder, speakers: theirs, files, log }),
      datagrams: (spec, socket) => datagrams.serve(spec, socket, { speakers: theirs, callers: ANYBODY }),
      outside: (call, outside, full) => admitter.outside(call, theirs.unknown, outside, full),
    }),
    accepted: (client, remote, spec) => takeCall(client, remote, spec, streams),
    openIngress: (...asked) => openIngress({ admitter, forwarder }, ...asked),
    settled: () => listeners.settled(),
    get listening() {
      return listeners.bound;
    },
    get datagramsDropped() {
      return datagrams.dropped;
    },
    get callersRefused() {
      return callers.refused;
    },
  };
}

/** Nobody else gets to a place of its own. */
const ANYBODY = { refuses: () => false };

export type Ingress =
  /** The service's side of the flow, which is recorded when both its directions are over, and reset when it is cut. */
  | {
      readonly opened: true;
      readonly conduit: Conduit;
      /** Ends the flow as one that the service did not answer, in time or at all; the conduit is still to be reset. */
      unanswered(detail?: string): void;
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
  full?: string,
): Promise<Ingress> {
  const admitted = admitter.internet({ service, ordinal: undefined, port, protocol: 'tcp' }, clientAddress, full);
  if (!admitted.admitted) return { opened: false, outcome: admitted.refusal.code };
  const { flow } = admitted.out;
  const forwarded = await endingWith(flow, forwarder.stream(admitted.out, deadline));
  if (forwarded === undefined) return { opened: false, outcome: flow.outcome ?? 'unreachable' };
  const { conduit, remote } = forwarded;
  const unanswered = (detail?: string) => {
    if (!flow.live) return;
    // The destination knows of a reset alone, and records that; why, only its source can tell.
    if (remote) flow.sever();
    flow.end('unanswered', detail);
  };
  return { opened: true, conduit: new FlowConduit(conduit, flow, { remote, ends: true }), unanswered };
}
