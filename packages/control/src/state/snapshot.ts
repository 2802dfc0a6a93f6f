/** How snapshots begin, and how the next is made from the last. */
import { randomBytes } from 'node:crypto';
import type { Mesh } from '@weft/proto';
import type { NetworkState, State } from './types.ts';

/** What a network that nothing was applied to yet has. */
export function emptyMesh(network: string): Mesh {
  return { network, services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
}

export function emptyNetwork(mesh: Mesh, revision: number): NetworkState {
  return {
    name: mesh.network,
    revision,
    mesh: { ...mesh, services: [] },
    secret: Uint8Array.from(randomBytes(32)),
    services: new Map(),
    agents: new Map(),
    hosts: new Map(),
    instances: new Map(),
  };
}

export function withNetwork(previous: State, network: NetworkState): State {
  const before = previous.networks.get(network.name);
  const networks = new Map(previous.networks).set(network.name, network);
  let { agents } = previous;
  if (network.agents !== (before?.agents ?? network.agents)) {
    const changed = new Map(agents);
    for (const id of before?.agents.keys() ?? []) if (!network.agents.has(id)) changed.delete(id);
    for (const id of network.agents.keys()) changed.set(id, network.name);
    agents = changed;
  }
  return { revision: Math.max(previous.revision, network.revision), networks, agents };
}
