/** What one thread tells for metrics: counts since it started. Plain values, for they may come from another thread. */
import type { PeerTunnels } from '@weft/proto';
import type { SeriesCounts } from '../flows/series.ts';
import type { LinkCounters } from '../tunnel/context.ts';

export interface ThreadMeasures {
  /** The main thread is 0. */
  readonly thread: number;
  readonly series: readonly SeriesCounts[];
  readonly peers: readonly PeerTunnels[];
  readonly tunnel: LinkCounters;
  /** Live flows, those that are still opening among them. */
  readonly flows: number;
  /** UDP datagrams of this host's programs that were dropped. */
  readonly datagramsDropped: number;
  /** As `batchedDatagrams` has them. */
  readonly batched: {
    readonly sent: number;
    readonly received: number;
    readonly joined: number;
    readonly unparted: number;
  };
  /** Connections and datagrams to VIPs that came from other hosts and were refused. */
  readonly callersRefused: number;
  /** Flow records that wait here, those of batches that are out among them. */
  readonly records: number;
  /** Tunnels' packets on their way to this thread from others. */
  readonly packets: number;
  /** Since the last call, 99th percentile. */
  readonly loopDelayUs: number;
}
