/** A member is let run more, or less, while it runs: the change worked out. */
import { type FieldProblem, LIMITS, problem, rightsIn, runPolicyTests, runsNothing } from '@weft/proto';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import { mayRunIn } from './may-run.ts';
import { grantsIn, summed, withGrants, withoutServices } from './member-rights.ts';
import { bookOf, type Memory, requireNetwork, tokensIn } from './memory.ts';
import { requireUnchanged } from './meshes.ts';
import { moreTaken, placesOf } from './taken.ts';
import type { AgentState, ApplyOptions, Grant, Granted, MemberRight, NetworkState } from './types.ts';

export function grantServices(
  memory: Memory,
  draft: Draft,
  name: string,
  { agent: named, services, take }: Grant,
  { dryRun, actor, expected }: ApplyOptions,
): Outcome<Granted> {
  const before = requireNetwork(memory, name);
  if (expected !== undefined) requireUnchanged(before, name, expected);
  const agent = before.agents.get(before.hosts.get(named) ?? named);
  if (agent === undefined) {
    const advice = 'its token says what it may run when it joins, or the mesh does, under agents; see weft agents';
    throw new StateError('no-such-agent', `no host ${named} has joined network ${name}; ${advice}`, [], {
      agent: named,
    });
  }
  const { host } = agent;
  if (expected !== undefined && expected < agent.rightsRevision) throw changedSince(agent, expected);
  const rights = take ? without(agent, services, before) : withThese(agent, services, draft.nowMs);
  const { granted } = summed(rights);
  const isAsGiven = granted.join() === agent.granted.join();
  const isSame = isAsGiven && grantsIn(rights).services.join() === grantsIn(agent.rights).services.join();
  const was = agent.granted.join(', ') || 'none';
  // Its tokens give it already: it stays when one of them is revoked.
  const detail = isAsGiven
    ? `services ${services.join(', ')}: granted, beside what its tokens give`
    : `services ${was} -> ${granted.join(', ') || 'none'}`;
  const subject = `agent ${host}`;
  const changes = isSame ? [] : [{ operation: 'change' as const, subject, detail }];
  const warnings = [...idle(services, take, agent, granted, before), ...failing(before, { ...agent, granted })];
  if (dryRun || isSame) return { answer: { revision: before.revision, changes, warnings, host, granted } };
  const taken = take
    ? moreTaken(
        agent.taken,
        services.filter((entry) => agent.granted.includes(entry)),
        draft.sequence,
        placesOf(tokensIn(memory, name), draft.clocks.believed()),
      )
    : // What was taken holds against tokens from before it, whatever is granted since.
      agent.taken;
  const changed = { agent: { ...agent, taken, rightsRevision: draft.revision }, rights };
  const network = bookOf(memory, name).withRights(before, [changed], draft);
  return {
    answer: { revision: draft.revision, changes, warnings, host, granted },
    networks: [network],
    // What is denied to a service that it may run is denied to its processes: to give may take away.
    takesAway: true,
    act: { actor, action: take ? 'agent-take' : 'agent-grant', subject, detail },
  };
}

function withThese(
  { host, granted, rights }: AgentState,
  services: readonly string[],
  nowMs: number,
): readonly MemberRight[] {
  const all = new Set([...granted, ...services]);
  if (all.size <= LIMITS.runnable) return withGrants(rights, services, nowMs);
  throw new StateError(
    'limit',
    `${host} would have ${all.size} entries of what it may run; at most ${LIMITS.runnable}: grant kind:KIND or *`,
  );
}

/** Throws StateError for what was given in another way, which would go on. */
function without(agent: AgentState, services: readonly string[], { mesh }: NetworkState): readonly MemberRight[] {
  const { host, granted } = agent;
  const said = mesh.agents.find(({ name }) => name === host)?.services ?? [];
  const wrong = services.flatMap((entry, index) => {
    if (granted.includes(entry)) return [];
    if (said.includes(entry))
      return [
        problem(
          `services[${index}]`,
          `the mesh lets ${host} run ${entry} (agents.${host}.services); take it out there`,
        ),
      ];
    if (!agent.services.includes(entry)) return [];
    return [
      problem(
        `services[${index}]`,
        `${host} may run ${entry} by ${wideOf([...granted, ...said])}; take that, and grant what is to stay`,
      ),
    ];
  });
  if (wrong.length > 0) throw new StateError('invalid', `${wrong[0]?.message}; nothing was changed`, wrong);
  return withoutServices(agent.rights, services);
}

function changedSince({ host, rightsRevision }: AgentState, expected: number): StateError {
  return new StateError(
    'changed-since',
    `what ${host} may run was changed at revision ${rightsRevision}, after revision ${expected}; look at what it may run now (weft agents), ` +
      'and change that; nothing was changed',
    [],
    { revision: `${rightsRevision}`, agent: host },
  );
}

function wideOf(entries: readonly string[]): string {
  return entries.filter((entry) => entry === '*' || entry.includes(':')).join(' or ');
}

function idle(
  services: readonly string[],
  take: boolean,
  { host, granted: before }: AgentState,
  granted: readonly string[],
  { mesh }: NetworkState,
): FieldProblem[] {
  const left = rightsIn(mesh)(host, granted);
  return services.flatMap((entry, index) => {
    const field = `services[${index}]`;
    if (take && !before.includes(entry)) return [problem(field, `${host} was not let run ${entry}`)];
    if (take)
      return left.includes(entry)
        ? [problem(field, `${host} may run ${entry} still, by the mesh or a wider grant`)]
        : [];
    const nothing = runsNothing(entry, mesh);
    return nothing === undefined ? [] : [problem(field, `${nothing} yet`)];
  });
}

/** Tests of the mesh that come out otherwise then: the next apply is refused for them. */
function failing(network: NetworkState, agent: AgentState): FieldProblem[] {
  const { mesh } = network;
  const [before, after] = [network, { ...network, agents: new Map(network.agents).set(agent.id, agent) }].map((state) =>
    runPolicyTests(mesh, undefined, mayRunIn(mesh, state)),
  );
  const known = new Set(before?.map(({ field }) => field));
  return (after ?? []).filter(({ field }) => !known.has(field));
}
