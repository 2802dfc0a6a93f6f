/** What hosts may run, and so what a process of one may be: what rules that deny go by where nobody can tell more. */
import type { HostSource, MayRun } from '@weft/proto';
import type { AgentState, NetworkState } from './types.ts';

/** Services that control allows the agent and the mesh declares. */
export function scopeOf(network: NetworkState, agent: AgentState): string[] {
  return agent.services.filter((name) => network.services.has(name));
}

/** By the members of the network; of none where there is no network yet. */
export function mayRunIn(network: NetworkState | undefined): MayRun {
  return (host) => network?.agents.get(network.hosts.get(host) ?? '')?.services ?? [];
}

/** `tags` are those that the mesh gives the host. */
export function hostSource(network: NetworkState, agent: AgentState, tags: readonly string[]): HostSource {
  const services = scopeOf(network, agent).flatMap((name) => network.services.get(name)?.service ?? []);
  return { type: 'host', name: agent.host, tags, services };
}
