/** The view of one agent as plain values, for tests: what it may know of its network, by key. Never anything of another network. */
import type { NetmapItem } from '@weft/proto';
import type { NetworkState } from '../state/types.ts';
import { NetworkView } from './network-view.ts';
import type { Presences } from './presence.ts';

/** Empty when the agent is no member. For many agents of one moment, make one NetworkView and ask it for each. */
export function view(network: NetworkState, presences: Presences, agentId: string): Map<string, NetmapItem> {
  return new NetworkView(network, presences).of(agentId)?.items() ?? new Map<string, NetmapItem>();
}
