/** What a mesh would ask of members whose version does not know it, and which those are. */
import {
  byText,
  type FieldProblem,
  listed,
  type Mesh,
  problem,
  VOCABULARY,
  type Vocabulary,
  wordsBeyond,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgents } from '../fleet/projection.ts';
import { diffMeshes } from '../state/diff.ts';
import type { NetworkState } from '../state/types.ts';

/** Past so many the list says nothing new. */
const MOST_HOSTS = 20;
const MOST_PROBLEMS = 100;

const ASKED = 'upgrade them first, or apply with --leave-behind, and they fail closed for this alone';
const LEFT = 'until they are upgraded, they fail closed for this alone';

/**
 * Every member counts, connected or not, by what it said last. What stays as a whole was accepted once, and is not asked again:
 * the same word in a rule that was changed may fail closed in another way.
 * `accepted`: the hosts are to be left behind, which is then told and not refused.
 */
export function leftBehind(
  mesh: Mesh,
  network: NetworkState | undefined,
  live: LiveAgents,
  accepted: boolean,
  words: Vocabulary = VOCABULARY,
): FieldProblem[] {
  if (network === undefined) return [];
  const members = fleetAgents(network, live).map(({ agent, capability }) => ({ host: agent.host, capability }));
  const least = Math.min(...members.map(({ capability }) => capability));
  const changed = new Set(diffMeshes(network.mesh, mesh).changes.map(({ subject }) => subject));
  const asked = wordsBeyond(mesh, least, words).filter(({ of }) => changed.has(of));
  return asked.slice(0, MOST_PROBLEMS).map(({ field, what, capability: needed }) => {
    const lacking = members.filter(({ capability }) => capability < needed).sort((a, b) => byText(a.host, b.host));
    const named = lacking.map(({ host, capability }) => `${host} (${capability})`);
    return problem(
      field,
      `${what} needs capability ${needed}, which these hosts have not: ${listed(named, MOST_HOSTS)}; ${accepted ? LEFT : ASKED}`,
    );
  });
}
