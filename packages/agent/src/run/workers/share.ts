/** What one of several threads gets of the agent's bounds. */
import { FLOW_BOUNDS } from '../../flows/registry.ts';
import { MOST_CLIENTS } from '../../outbound/datagrams.ts';
import { DEFAULT_SETTINGS, type TunnelSettings } from '../../tunnel/settings.ts';

export interface ThreadShare {
  /** Live flows; the threads' together are the agent's. */
  readonly flows: number;
  readonly flowsOfPeer: number;
  readonly datagramClients: number;
  readonly tunnel: Partial<TunnelSettings>;
}

/**
 * The kernel spreads connections evenly but not exactly, so one thread may be full while another has room. A peer with one
 * tunnel has all its flows on one thread: its bound there is the usual one, but never more than two thirds of the thread,
 * so that no peer uses up what all share.
 */
export function shareOf(thread: number, threads: number): ThreadShare {
  const flows = part(FLOW_BOUNDS.limit, thread, threads);
  const { poolSize, dialledPerPeer } = DEFAULT_SETTINGS;
  const dialled = Math.max(2, Math.ceil(poolSize / threads));
  return {
    flows,
    flowsOfPeer: Math.min(FLOW_BOUNDS.peerLimit, Math.floor((flows * 2) / 3)),
    datagramClients: part(MOST_CLIENTS, thread, threads),
    // Each thread has tunnels of its own: fewer each, so that a peer need not take many times as many, and two at least, so
    // that a bulk copy does not hold up the rest.
    // Beside those that two threads of a peer have left, each two and as many as are dialled, there is room for others (see PeerPool.leave).
    tunnel: {
      poolSize: dialled,
      dialledPerPeer: Math.max(2 * (dialled + 2) + dialled, Math.ceil(dialledPerPeer / threads)),
    },
  };
}

/** A whole number for each thread, all together exactly the total. */
function part(total: number, thread: number, threads: number): number {
  return Math.floor(total / threads) + (thread < total % threads ? 1 : 0);
}
