/** One set of numbers for all threads of an agent. */

import type { FlowRecorder } from '../../flows/recorder.ts';
import type { FlowRegistry } from '../../flows/registry.ts';
import type { AgentTotals } from '../../observe/describe.ts';
import type { Outbound } from '../../outbound/outbound.ts';
import { newCounters, sumOfCounters } from '../../tunnel/context.ts';
import type { BoundTunnels } from '../../tunnel/create.ts';
import type { WorkerNumbers } from './messages.ts';
import type { PastThreads } from './past.ts';

export interface OwnNumbers {
  readonly registry: Pick<FlowRegistry, 'live'>;
  readonly tunnels: Pick<BoundTunnels, 'counters' | 'peerTraffic' | 'unreached'>;
  readonly recorder: Pick<FlowRecorder, 'counters' | 'adopted'>;
  readonly outbound: Pick<Outbound, 'listening'>;
}

/** The main thread's own, and what the workers have told; one that has not told yet counts nothing. */
export function totalsOf(
  own: OwnNumbers,
  others: () => readonly (WorkerNumbers | undefined)[],
  past: PastThreads,
): AgentTotals {
  const { registry, tunnels, recorder, outbound } = own;
  const told = () => others().map((numbers) => numbers ?? NOTHING);
  return {
    get flows() {
      return told().reduce((sum, { flows }) => sum + flows, registry.live);
    },
    get counters() {
      return told().reduce(
        (sum, { tunnel }) => sumOfCounters(sum, tunnel),
        sumOfCounters(tunnels.counters, past.tunnel),
      );
    },
    get listeners() {
      return outbound.listening;
    },
    get peers() {
      return [tunnels.peerTraffic(), ...told().map(({ peers = [] }) => peers), past.peers];
    },
    get unreached() {
      return [...tunnels.unreached(), ...told().flatMap(({ unreached = [] }) => unreached)];
    },
    get threads() {
      const { counters, adopted } = recorder;
      const first = { flows: registry.live, recorded: counters.recorded - adopted, tunnel: tunnels.counters, bulk: 0 };
      return [first, ...told()].map(({ flows, recorded, tunnel }) => ({
        flows: { open: flows, recorded },
        tunnel: { open: tunnel.open, bytesSent: tunnel.bytesSent, bytesReceived: tunnel.bytesReceived },
      }));
    },
  };
}

const NOTHING: WorkerNumbers = { flows: 0, recorded: 0, tunnel: newCounters(), bulk: 0 };
