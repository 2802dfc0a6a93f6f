/** A mesh as it is kept on disk. */
import type { AgentSettings, Mesh } from '@weft/proto';

/** Only a mesh that was checked is ever written, so its shape is taken on trust; that it is JSON is not. */
export function readMesh(json: string): Mesh {
  const mesh = JSON.parse(json) as Omit<Mesh, 'agents'> & { readonly agents: readonly KeptSettings[] };
  return { ...mesh, agents: mesh.agents.map((agent) => ({ ...agent, services: agent.services ?? [] })) };
}

/** An older version kept no services. */
type KeptSettings = Omit<AgentSettings, 'services'> & Partial<Pick<AgentSettings, 'services'>>;
