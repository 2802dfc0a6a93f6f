/** The agent's outbound side: what this host's programs call, and what its gateway lets in. */
import type { Logger } from 'pino';
import type { FlowRegistry } from '../connections/registry.ts';
import { runsHere } from '../connections/source.ts';
import type { InboundPath } from '../inbound/inbound.ts';
import type { TargetWatch } from '../inbound/target-watch.ts';
import type { NetmapSource } from '../netmap/types.ts';
import type { Problems } from '../observe/types.ts';
import type { Tunnels } from '../tunnel/types.ts';
import { Admitter } from './admit.ts';
import { bindFirst, type PlaceSharing } from './bind-shared.ts';
import { Chooser } from './choose.ts';
import { OutboundDatagrams } from './datagrams.ts';
import { Forwarder } from './forward.ts';
import { type Ingress, openIngress } from './ingress.ts';
import { Listeners } from './listeners.ts';
import { type Place, placesOf } from './places.ts';
import { bindStreams } from './streams.ts';

export interface OutboundOptions {
  readonly netmap: NetmapSource;
  readonly registry: FlowRegistry;
  readonly tunnels: Pick<Tunnels, 'openStream' | 'openDatagrams'>;
  /** This host's own instances: called without a tunnel, never without a verdict. */
  readonly inbound: Pick<InboundPath, 'dialer' | 'services'> & {
    readonly watch: Pick<TargetWatch, 'listening' | 'portUse' | 'onChange'>;
  };
  readonly problems: Problems;
  readonly log: Logger;
  /** Closes every listener when aborted. */
  readonly signal: AbortSignal;
  /** Idle time of a UDP flow, milliseconds. */
  readonly idleMs?: number;
  /** Clients of UDP places known at once. */
  readonly datagramClients?: number;
  /** Wait before a port that could not be bound is tried again. */
  readonly retryMs?: number;
  /** All tries to reach an instance together. */
  readonly forwardMs?: number;
  /** When several threads listen on the same places. */
  readonly sharing?: PlaceSharing;
  /** Where the turns of instances begin. */
  readonly firstTurn?: number;
}

export interface Outbound {
  /** For the gateway. Aborting the signal ends the opening, not the flow. */
  openIngress(service: string, port: number, clientAddress: string, signal: AbortSignal): Promise<Ingress>;
  /** Resolves when every listener that the netmap of now wants has been bound or has failed. */
  settled(): Promise<void>;
  /** How many places are listened on. */
  readonly listening: number;
  /** UDP datagrams dropped here since the start. */
  readonly datagramsDropped: number;
}

/** Listens for the netmap of now, and from then on for each that follows. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { netmap, registry, tunnels, inbound, problems, log, signal, sharing } = options;
  const declared = inbound.services;
  const chooser = new Chooser(inbound.watch, options.firstTurn);
  const admitter = new Admitter({ netmap, registry, declared });
  const forwarder = new Forwarder({
    netmap,
    declared,
    tunnels,
    dialer: inbound.dialer,
    chooser,
    ...(options.forwardMs === undefined ? {} : { totalMs: options.forwardMs }),
  });
  const datagrams = new OutboundDatagrams({
    admitter,
    forwarder,
    log,
    ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
    ...(options.datagramClients === undefined ? {} : { limit: options.datagramClients }),
  });
  const share = sharing?.share;
  const bind = (place: Place) =>
    place.protocol === 'tcp'
      ? bindStreams(place, { admitter, forwarder, log, ...(share === undefined ? {} : { share }) })
      : datagrams.bind(place, share);
  const listeners = new Listeners({
    bind: sharing?.share === 'first' ? (place) => bindFirst(place, bind, sharing.followers) : bind,
    portUse: (port, protocol) => inbound.watch.portUse(port, protocol),
    runsHere: (service) => runsHere(netmap.current, declared, service) !== undefined,
    problems,
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
  });
  const reconcile = () => {
    if (signal.aborted) return;
    listeners.reconcile(sharing?.share === 'join' ? sharing.places.current : placesOf(netmap.current));
  };
  netmap.subscribe((next, previous) => {
    reconcile();
    chooser.prune(next);
    if (next.revision !== previous.revision) datagrams.reconsider();
  });
  inbound.watch.onChange(reconcile);
  if (sharing?.share === 'join') sharing.places.onChange(reconcile);
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
  };
}
