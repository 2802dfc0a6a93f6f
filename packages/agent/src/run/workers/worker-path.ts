/** A worker's data path: what the main thread's is, less the watch of the targets, the gateway and names. */

import type { Tracer } from '@weft/proto/observe';
import type { Logger } from 'pino';
import type { FlowRecorder } from '../../flows/recorder.ts';
import { FlowRegistry } from '../../flows/registry.ts';
import { FlowTracer } from '../../flows/tracing.ts';
import { FlowTraffic } from '../../flows/traffic.ts';
import { createInboundPath } from '../../inbound/inbound.ts';
import { NetmapStore } from '../../netmap/store.ts';
import { ThreadWatch } from '../../observe/thread-watch.ts';
import { createOutbound } from '../../outbound/outbound.ts';
import type { LinkCounters } from '../../tunnel/context.ts';
import type { Problems } from '../../words/problems.ts';
import { openTunnels } from '../data-path.ts';
import { ENFORCEMENT } from '../enforce.ts';
import { FollowedListeners } from './followed-listeners.ts';
import { FollowedTargets } from './followed-targets.ts';
import type { Update, WorkerStart } from './messages.ts';
import { ThreadSteering } from './packet-steering.ts';
import { shareOf } from './share.ts';

export interface WorkerPath {
  /** Enforces it. Throws when that did not work in full. */
  update(update: Update): void;
  /** Resolves when every listener has been bound or has failed. */
  settled(): Promise<void>;
  /** Ends all of it; what lived is recorded when this returns. */
  close(reason: string): void;
  readonly flows: number;
  readonly traffic: FlowTraffic;
  readonly watch: ThreadWatch;
  readonly counters: LinkCounters;
}

export async function openWorkerPath(
  start: WorkerStart,
  recorder: FlowRecorder,
  problems: Problems,
  log: Logger,
  tracer?: Tracer,
): Promise<WorkerPath> {
  const { thread, threads, range, services, network, limits } = start;
  const store = new NetmapStore(range, start.netmap, 0, ENFORCEMENT);
  const share = shareOf(thread, threads);
  const life = new AbortController();
  const taking = new AbortController();
  const traffic = new FlowTraffic({ metrics: start.metrics });
  const registry = new FlowRegistry({
    netmap: store,
    sink: recorder,
    traffic,
    tracer: tracer && new FlowTracer(tracer, store),
    limit: share.flows,
    peerLimit: share.flowsOfPeer,
  });
  const targets = new FollowedTargets(services);
  const listeners = new FollowedListeners();
  const idle = limits.idleMs === undefined ? {} : { idleMs: limits.idleMs };
  const inbound = createInboundPath({ netmap: store, registry, services, log, ...idle }, targets);
  const steering = new ThreadSteering(thread, start.packets);
  const tunnels = await openTunnels(
    {
      listen: start.tunnel,
      secretKey: start.tunnelSecret,
      network,
      netmap: store,
      inbound,
      logger: log,
      settings: { ...share.tunnel, ...limits.tunnel },
      datagrams: start.datagrams,
      shared: { share: 'join', steering },
    },
    life.signal,
  );
  const outbound = createOutbound({
    netmap: store,
    registry,
    tunnels,
    inbound: { ...inbound, watch: targets },
    problems,
    log,
    signal: taking.signal,
    ...idle,
    datagramClients: share.datagramClients,
    sharing: { share: 'join', listeners },
    firstTurn: thread,
  });
  const parts = { thread, traffic, registry, tunnels, outbound, recorder, steering };
  return {
    traffic,
    watch: new ThreadWatch(parts, start.metrics, life.signal),
    update(update) {
      // Targets and listeners are right also where the netmap could not be enforced in full.
      try {
        // The main thread has seen that it fits.
        if (update.netmap !== undefined) store.apply(update.netmap, true);
      } finally {
        if (update.answering !== undefined) targets.tell(update.answering);
        if (update.listeners !== undefined) listeners.tell(update.listeners);
      }
    },
    settled: () => outbound.settled(),
    close(reason) {
      taking.abort();
      registry.cutAll(reason);
      // At once, so that no peer opens another flow behind the cut.
      life.abort();
      steering.close();
    },
    get flows() {
      return registry.live;
    },
    get counters() {
      return tunnels.counters;
    },
  };
}
