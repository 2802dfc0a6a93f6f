/** What telemetry and metrics ask of one thread's data path. */
import { type LoopDelayWatch, watchLoopDelay } from '@weft/proto/observe';
import { batchedDatagrams } from '../bytes/native-check.ts';
import type { FlowRecorder } from '../flows/recorder.ts';
import type { FlowRegistry } from '../flows/registry.ts';
import type { FlowTraffic } from '../flows/traffic.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { BoundTunnels } from '../tunnel/create.ts';
import type { ThreadMeasures } from './measures.ts';
import type { ThreadPulse } from './telemetry.ts';

export interface WatchedPath {
  /** Its number; the main thread is 0. */
  readonly thread: number;
  readonly traffic: FlowTraffic;
  readonly registry: Pick<FlowRegistry, 'live' | 'look'>;
  readonly tunnels: Pick<BoundTunnels, 'counters' | 'peerTraffic'>;
  readonly outbound: Pick<Outbound, 'datagramsDropped' | 'callersRefused'>;
  readonly recorder: Pick<FlowRecorder, 'counters'>;
  /** Packets from other threads; not set where there is one thread. */
  readonly steering: { readonly waiting: number } | undefined;
}

export class ThreadWatch {
  readonly #path: WatchedPath;
  readonly #forTelemetry: LoopDelayWatch;
  /** Each interval needs a watch of its own. */
  readonly #forMetrics: LoopDelayWatch | undefined;

  constructor(path: WatchedPath, metrics: boolean, signal: AbortSignal) {
    this.#path = path;
    this.#forTelemetry = watchLoopDelay();
    this.#forMetrics = metrics ? watchLoopDelay() : undefined;
    const end = () => {
      this.#forTelemetry.close();
      this.#forMetrics?.close();
    };
    signal.addEventListener('abort', end, { once: true });
  }

  /** Begins a new interval. */
  pulse(): ThreadPulse {
    this.#path.registry.look();
    return { peers: this.#path.tunnels.peerTraffic(), loopDelayUs: this.#forTelemetry.take().p99Us };
  }

  measures(): ThreadMeasures {
    const { thread, traffic, registry, tunnels, outbound, recorder, steering } = this.#path;
    return {
      thread,
      series: traffic.series().map((series) => series.copy()),
      peers: tunnels.peerTraffic(),
      tunnel: { ...tunnels.counters },
      flows: registry.live,
      datagramsDropped: outbound.datagramsDropped,
      batched: { ...batchedDatagrams },
      callersRefused: outbound.callersRefused,
      records: recorder.counters.queued + recorder.counters.unanswered,
      packets: steering?.waiting ?? 0,
      loopDelayUs: this.#forMetrics?.take().p99Us ?? 0,
    };
  }
}
