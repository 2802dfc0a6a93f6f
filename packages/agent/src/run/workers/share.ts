/** What one of several threads gets of the agent's bounds. */
import { DEFAULT_SETTINGS, type TunnelSettings } from '../../tunnel/settings.ts';

const FLOWS = 50_000;
const FLOWS_OF_A_PEER = 16_384;
const DATAGRAM_CLIENTS = 16_384;

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
  const flows = part(FLOWS, thread, threads);
  const { poolSize, dialledPerPeer } = DEFAULT_SETTINGS;
  return {
    flows,
    flowsOfPeer: Math.min(FLOWS_OF_A_PEER, Math.floor((flows * 2) / 3)),
    datagramClients: part(DATAGRAM_CLIENTS, thread, threads),
    // Each thread has tunnels of its own: fewer each, so that a peer need not take many times as many, and two at least, so
    // that a bulk copy does not hold up the rest.
    tunnel: {
      poolSize: Math.max(2, Math.ceil(poolSize / threads)),
      dialledPerPeer: Math.max(2, Math.ceil(dialledPerPeer / threads)),
    },
  };
}

/** A whole number for each thread, all together exactly the total. */
function part(total: number, thread: number, threads: number): number {
  return Math.floor(total / threads) + (thread < total % threads ? 1 : 0);
}
