/** As whom the processes of a host speak, as its agent resolves it: as the one service that it runs, else as the host. */
import type { Source } from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { hostSource, scopeOf } from '../state/may-run.ts';
import type { AgentState, NetworkState } from '../state/types.ts';

export interface Speaker {
  readonly source: Source;
  /** What runs there, by name. */
  readonly runs: readonly string[];
}

export function speakerOn(network: NetworkState, live: LiveAgents, agent: AgentState): Speaker {
  const runs = scopeOf(network, agent).filter((name) => live.instance(agent.id, name) !== undefined);
  const [only] = runs.flatMap((name) => network.services.get(name)?.service ?? []);
  if (only !== undefined && runs.length === 1) return { source: { type: 'service', service: only }, runs };
  const tags = network.mesh.agents.find(({ name }) => name === agent.host)?.tags ?? [];
  return { source: hostSource(network, agent, tags), runs };
}
