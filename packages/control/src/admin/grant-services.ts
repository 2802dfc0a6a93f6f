/** A member is let run more, or less, for who may order it; and whoever wants to waits until it is enforced. */
import { defined, type FieldProblem, problem, rightsIn } from '@weft/proto';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgentOf } from '../fleet/projection.ts';
import type { Grant, Granted, NetworkState } from '../state/types.ts';
import { type ChangeMeshOptions, type ChangeOrder, type MeshChanged, ofOlderData, waited } from './change-mesh.ts';
import { RequestError, readAll } from './errors.ts';
import { besideReach, type HostReaches, hostReach, inexactRules, NO_REACH } from './inexact-rules.ts';
import { rightsBehind } from './left-behind.ts';
import { readName, readServices, requireNetworkOfAgent } from './request.ts';

/** A grant, checked. Throws RequestError. */
export function readGrant(request: Grant): Grant {
  // By name: a message from the wire has what its sender left out by its prototype alone, and no copy of it does.
  const { take } = request;
  const { agent, services } = readAll({
    agent: () => readName(request.agent, 'agent'),
    services: () => {
      if (request.services.length === 0) throw new RequestError([problem('services', 'expected at least one')]);
      return readServices(request.services);
    },
  });
  return { agent, services, take };
}

/** `named` is the network, or empty where the member is told by it. The signal ends the wait, and not the change. Rejects with RequestError, StateError. */
export async function grantServices(
  options: ChangeMeshOptions,
  named: string,
  grant: Grant,
  { dryRun, wait, waitMs, expectedRevision, leaveBehind }: ChangeOrder,
  by: Actor,
  signal: AbortSignal,
): Promise<Granted & MeshChanged> {
  const { state, logger } = options;
  const held = requireNetworkOfAgent(state.current, named, grant.agent);
  const network = held.name;
  const behind = grant.take ? [] : behindBy(held, grant, options.live, leaveBehind);
  if (behind.length > 0 && !leaveBehind) throw new RequestError(behind);
  const actor = actorName(by);
  const how = { dryRun, actor, ...defined({ expected: expectedRevision || undefined }) };
  const made = await state.grantServices(network, grant, how);
  const { host, revision, granted, changes } = made;
  if (!dryRun && changes.length > 0)
    logger.info(
      { event: 'agent-granted', network, host, revision, granted, actor },
      'what an agent may run was changed',
    );
  const [taken, told, inexact] = await Promise.all([
    waited(options, network, revision, wait && !dryRun ? waitMs : undefined, signal, grant.take ? [host] : []),
    reachAfter(held, made, options.live, signal),
    inexactThere(state.current.networks.get(network), made, options.live, signal),
  ]);
  const warnings = [...ofOlderData(state), ...made.warnings, ...behind, ...inexact, ...besideReach(told)];
  return { ...made, warnings, hostReach: told.reach, ...taken };
}

/** It may be more than before, and is denied what any of that is. Of the others nothing changes. */
async function reachAfter(
  held: NetworkState,
  { host, granted, changes }: Granted,
  live: LiveAgents,
  signal: AbortSignal,
): Promise<HostReaches> {
  const { mesh, agents, hosts } = held;
  const member = agents.get(hosts.get(host) ?? '');
  if (member === undefined || changes.length === 0) return NO_REACH;
  const network = { ...held, agents: new Map([[member.id, { ...member, granted }]]) };
  return await hostReach({ mesh, network: held }, { mesh, network }, live, signal);
}

/** Who is no member is left to the change itself to refuse. */
function behindBy(network: NetworkState, grant: Grant, live: LiveAgents, accepted: boolean): FieldProblem[] {
  const member = network.agents.get(network.hosts.get(grant.agent) ?? grant.agent);
  if (member === undefined) return [];
  const { host, granted, services: before } = member;
  const { capability } = fleetAgentOf(network, live)(member);
  const after = rightsIn(network.mesh)(host, [...granted, ...grant.services]);
  return rightsBehind(network.mesh, { host, capability, before, after }, accepted).map((message) =>
    problem('services', message),
  );
}

/** A host that may run more is denied more: rules that it, with what it is granted now, does not enforce as written. */
async function inexactThere(
  network: NetworkState | undefined,
  { host, granted }: Granted,
  live: LiveAgents,
  signal: AbortSignal,
): Promise<FieldProblem[]> {
  const member = network?.agents.get(network.hosts.get(host) ?? '');
  if (network === undefined || member === undefined) return [];
  const alone = { ...network, agents: new Map([[member.id, { ...member, granted }]]) };
  return await inexactRules(network.mesh, alone, live, signal);
}
