/** A worker's data path: what the main thread's is, less the watch of the targets, the gateway and names. */

import type { Tracer } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { cutAtEnd } from '../../bytes/end-at-once.ts';
import { nativeCalls } from '../../bytes/inside/known.ts';
import { receiveSockets } from '../../bytes/inside/pass-sockets.ts';
import { askShortSlices } from '../../bytes/inside/short-slices.ts';
import { takePassed } from '../../bytes/socket-listen.ts';
import type { FlowRecorder } from '../../flows/recorder.ts';
import type { FlowRegistry } from '../../flows/registry.ts';
import { FlowTraffic } from '../../flows/traffic.ts';
import { createInboundPath } from '../../inbound/inbound.ts';
import { NetmapStore } from '../../netmap/store.ts';
import type { ThreadWatch } from '../../observe/thread-watch.ts';
import type { BoundTunnels } from '../../tunnel/create.ts';
import type { Problems } from '../../words/problems.ts';
import { openDataPath } from '../data-path.ts';
import { ENFORCEMENT } from '../enforce.ts';
import { replaceEntries } from '../file-in-force.ts';
import { FollowedListeners, FollowedTargets } from './followed.ts';
import type { MainOwners } from './main-owners.ts';
import type { Update, WorkerStart } from './messages.ts';
import { PassedSpecs, TO_TUNNELS } from './passed-specs.ts';

export interface WorkerPath {
  /** Enforces it. Throws when that did not work in full. */
  update(update: Update): void;
  /** Resolves when every listener has been bound or has failed. */
  settled(): Promise<void>;
  /** Ends all of it; what lived is recorded when this returns. */
  close(reason: string): void;
  readonly registry: FlowRegistry;
  readonly traffic: FlowTraffic;
  readonly watch: ThreadWatch;
  readonly tunnels: BoundTunnels;
  /** Flows that are bulk. */
  readonly bulk: number;
}

export async function openWorkerPath(
  start: WorkerStart,
  owners: MainOwners,
  recorder: FlowRecorder,
  problems: Problems,
  log: Logger,
  tracer?: Tracer,
): Promise<WorkerPath> {
  const { range, metrics, passed } = start;
  const services = new Map(start.services);
  const store = new NetmapStore(range, start.netmap, 0, ENFORCEMENT);
  const life = new AbortController();
  const taking = new AbortController();
  const traffic = new FlowTraffic({ metrics });
  const targets = new FollowedTargets(services);
  const listeners = new FollowedListeners();
  const { registry, tunnels, inbound, bulk, files, open } = await openDataPath({
    ...start,
    ...{ recorder, traffic, tracer, problems, log },
    netmap: store,
    createInbound: (parts) => createInboundPath({ ...parts, services }, targets),
    taking: taking.signal,
    life: life.signal,
    ...(passed === undefined ? {} : { beside: { listens: false, owners } }),
  });
  cutAtEnd(() => registry.stop('a thread of the agent ended at once'), life.signal);
  const { outbound, watch } = open({ ...inbound, watch: targets }, { share: 'join', listeners });
  const specs = new PassedSpecs();
  if (passed !== undefined) {
    // What it carries is small, and beside a thread that hardly sleeps.
    if (nativeCalls() !== undefined && !askShortSlices())
      log.debug(
        { event: 'short-slices-refused' },
        'what this thread carries waits longer for a core that bulk keeps busy',
      );
    const close = await receiveSockets(
      passed,
      (handle, text) => {
        const taken = takePassed(handle);
        if (taken === undefined) return;
        const { conduit, remote } = taken;
        if (text === TO_TUNNELS) tunnels.accept(conduit, remote);
        else outbound.accepted(conduit, remote, specs.of(text));
      },
      () => files.ranOut(),
    );
    life.signal.addEventListener('abort', close, { once: true });
  }
  const enforce = ({ netmap, services: changed }: Update) => {
    try {
      // The main thread has seen that it fits.
      if (netmap !== undefined) store.apply(netmap, true);
    } finally {
      // Also beside a netmap of another revision, whose steps do not ask what is new in the agent file.
      if (changed !== undefined) store.enforceAgain();
    }
  };
  return {
    registry,
    traffic,
    watch,
    tunnels,
    get bulk() {
      return bulk?.flows ?? 0;
    },
    update(update) {
      // Also asked each second whether it answers, with a change of nothing.
      if (update.netmap !== undefined || update.services !== undefined) specs.clear();
      // Targets and listeners are right also where the netmap could not be enforced in full.
      try {
        if (update.services !== undefined) replaceEntries(services, update.services);
        enforce(update);
      } finally {
        if (update.others !== undefined) targets.tellOthers(update.others);
        if (update.firstUsers !== undefined) targets.tellFirstUsers(update.firstUsers);
        if (update.answering !== undefined) targets.tell(update.answering);
        if (update.listeners !== undefined) listeners.tell(update.listeners);
      }
    },
    settled: () => outbound.settled(),
    close(reason) {
      taking.abort();
      try {
        registry.stop(reason);
      } finally {
        // At once, so that no peer opens another flow behind the cut.
        life.abort();
      }
    },
  };
}
