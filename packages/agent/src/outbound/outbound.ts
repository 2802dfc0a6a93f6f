/** The agent's outbound side: what this host's programs call, and what its gateway lets in. */
import { defined } from '@weft/proto';
import type { Logger } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { FlowRegistry } from '../flows/registry.ts';
import { runsHere } from '../flows/source.ts';
import type { InboundPath } from '../inbound/inbound.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import { Admitter } from './admit.ts';
import { bindFirst, type ListenerSharing } from './bind-shared.ts';
import { Chooser } from './choose.ts';
import { OutboundDatagrams } from './datagrams.ts';
import { Forwarder } from './forward.ts';
import { type Ingress, openIngress } from './ingress.ts';
import { SHARE_PROBLEM, shareListeners, shareProblem } from './listener-share.ts';
import { type ListenerSpec, listenerSpecs } from './listener-spec.ts';
import { Listeners } from './listeners.ts';
import type { OwnCallers } from './own-callers.ts';
import { bindStreams } from './streams.ts';

export interface OutboundOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly tunnels: Pick<Tunnels, 'openStream' | 'openDatagrams' | 'promising'>;
  /** This host's own instances: called without a tunnel, never without a verdict. */
  readonly inbound: Pick<InboundPath, 'dialer' | 'services'> & {
    readonly watch: Pick<TargetWatch, 'listening' | 'portUse' | 'onChange'>;
  };
  readonly problems: Problems;
  readonly log: Logger;
  readonly files: OpenFiles;
  /** Closes every listener when aborted. */
  readonly signal: AbortSignal;
  readonly callers: Pick<OwnCallers, 'refuses' | 'refused'>;
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
  /** Listeners at once: files are for flows too. */
  readonly mostListeners?: number;
  /** Where the turns of instances begin. */
  readonly firstTurn?: number;
}

export interface Outbound {
  /** For the gateway. The deadline is of the opening alone. */
  openIngress(service: string, port: number, clientAddress: string, deadline: Deadline): Promise<Ingress>;
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
  const { netmap, registry, tunnels, inbound, problems, log, files, signal, sharing, callers } = options;
  const declared = inbound.services;
  const chooser = new Chooser(inbound.watch, tunnels, options.firstTurn);
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
    log,
    files,
    problems,
    callers,
    ...defined({ idleMs: options.idleMs, limit: options.datagramClients }),
  });
  const share = sharing?.share;
  const bind = (spec: ListenerSpec) =>
    spec.protocol === 'tcp'
      ? bindStreams(spec, { admitter, forwarder, log, files, callers, ...defined({ share }) })
      : datagrams.bind(spec, share);
  const listeners = new Listeners({
    bind: sharing?.share === 'first' ? (spec) => bindFirst(spec, bind, sharing.followers) : bind,
    portUse: (port, protocol) => inbound.watch.portUse(port, protocol),
    runsHere: (service) => runsHere(netmap.current, declared, service) !== undefined,
    problems,
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
    reconcile();
    chooser.prune(next);
    if (next.revision !== previous.revision) datagrams.reconsider();
  });
  inbound.watch.onChange(reconcile);
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
    openIngress: (service, port, clientAddress, opening) =>
      openIngress({ admitter, forwarder }, service, port, clientAddress, opening),
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
