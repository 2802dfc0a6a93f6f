/** What hosts may run, and so what a process of one may be: what rules that deny go by where nobody can tell more. */
import { type HostSource, type MayRun, type Mesh, rightsIn } from '@weft/proto';
import type { AgentState, NetworkState } from './types.ts';

/** In the mesh, by what the members of the network are granted; there is none where there is no network yet. */
export function mayRunIn(mesh: Mesh, network: NetworkState | undefined): MayRun {
  const rightOf = rightsIn(mesh);
  return (host) => rightOf(host, network?.agents.get(network.hosts.get(host) ?? '')?.granted ?? []);
}

/** `tags` are those that the mesh gives the host. */
export function hostSource(network: NetworkState, agent: AgentState, tags: readonly string[]): HostSource {
  const services = agent.services.flatMap((name) => network.services.get(name)?.service ?? []);
  return { type: 'host', name: agent.host, tags, services };
}
