/** What a mesh, or a right to run something, would ask of members whose version does not know it, and which those are. */
import {
  byText,
  DENIES_WHAT_MAY_BE,
  type FieldProblem,
  listed,
  type Mesh,
  problem,
  type Service,
  selectorsOfSource,
  VOCABULARY,
  type Vocabulary,
  wordsBeyond,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgents } from '../fleet/projection.ts';
import { diffMeshes } from '../state/diff.ts';
import { mayRunIn } from '../state/may-run.ts';
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

/** Rules that a refusal names. */
const NAMED = 8;

/**
 * Members that a change of the mesh lets run more, as `rightsBehind` has it.
 */
export function gainsBehind(
  mesh: Mesh,
  network: NetworkState | undefined,
  live: LiveAgents,
  accepted: boolean,
): FieldProblem[] {
  if (network === undefined) return [];
  const [before, after] = [mayRunIn(network.mesh, network), mayRunIn(mesh, network)];
  return fleetAgents(network, live)
    .filter(({ capability }) => capability < DENIES_WHAT_MAY_BE)
    .flatMap(({ agent: { host }, capability }) => {
      const asked = { host, capability, before: before(host), after: after(host) };
      // The mesh may say nothing of it: a service that it comes to declare is run by `*` or by its kind.
      const named = mesh.agents.find(({ name }) => name === host)?.services ?? [];
      const gained = asked.after.filter((name) => !asked.before.includes(name));
      const field = gained.some((name) => named.includes(name)) ? `agents.${host}.services` : `services.${gained[0]}`;
      return rightsBehind(mesh, asked, accepted).map((message) => problem(field, message));
    })
    .slice(0, MOST_PROBLEMS);
}

/**
 * What a member comes to be let run beside what it may, and a rule denies, where its version does not deny its processes what is
 * denied to a service that they may be: between it and another such host the rule would be lost.
 */
export function rightsBehind(
  { services, policies }: Pick<Mesh, 'services' | 'policies'>,
  {
    host,
    capability,
    before,
    after,
  }: {
    readonly host: string;
    readonly capability: number;
    readonly before: readonly string[];
    readonly after: readonly string[];
  },
  accepted: boolean,
): string[] {
  if (capability >= DENIES_WHAT_MAY_BE) return [];
  const had = new Set(before);
  const may = new Set(after.filter((name) => !had.has(name)));
  if (may.size === 0) return [];
  const gained = services.filter(({ name }) => may.has(name));
  const rules = policies.filter(({ action, from }) => action === 'deny' && gained.some((one) => isDenied(one, from)));
  if (rules.length === 0) return [];
  const names = listed(rules.map(({ name }) => name).sort(byText), NAMED);
  const denied = gained.filter((one) => rules.some(({ from }) => isDenied(one, from))).map(({ name }) => name);
  const rest = accepted
    ? 'until it is upgraded, such a rule is lost between it and other hosts that have not'
    : 'upgrade it first, or say that it may be left behind (--leave-behind), and the rule is lost between it and other hosts that have not';
  return [
    `to be denied what is denied to ${listed(denied.sort(byText), NAMED)} (${names}), a process of ${host} needs capability ` +
      `${DENIES_WHAT_MAY_BE}, which that host has not (${capability}); ${rest}`,
  ];
}

/** `*` selects the processes of every host themselves. */
function isDenied(service: Service, from: readonly string[]): boolean {
  return selectorsOfSource({ type: 'service', service }).some((text) => text !== '*' && from.includes(text));
}
