/** A member is let run more, or less, for who may order it; and whoever wants to waits until it is enforced. */
import { defined, type FieldProblem, problem } from '@weft/proto';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import type { LiveAgents } from '../fleet/live.ts';
import type { Grant, Granted, NetworkState } from '../state/types.ts';
import { type ChangeMeshOptions, type ChangeOrder, type MeshChanged, waited } from './change-mesh.ts';
import { RequestError } from './errors.ts';
import { inexactRules } from './inexact-rules.ts';
import { readName, readWait, requireNetworkOfAgent, servicesProblems } from './request.ts';

/** `network` may be empty where the member is told by it. The signal ends the wait, and not the change. Rejects with RequestError, StateError. */
export async function grantServices(
  options: ChangeMeshOptions,
  { network: named, ...grant }: Grant & { readonly network: string },
  { dryRun, wait, timeoutMs, expectedRevision }: ChangeOrder,
  by: Actor,
  signal: AbortSignal,
): Promise<Granted & MeshChanged> {
  const { state, logger } = options;
  const longest = readWait(timeoutMs);
  const agent = readName(grant.agent, 'agent');
  const problems = servicesProblems(grant.services);
  if (grant.services.length === 0) problems.push(problem('services', 'expected at least one'));
  if (problems.length > 0) throw new RequestError(problems);
  const network = requireNetworkOfAgent(state.current, named, agent).name;
  const actor = actorName(by);
  const how = { dryRun, actor, ...defined({ expected: expectedRevision || undefined }) };
  const made = await state.grantServices(network, { ...grant, agent }, how);
  const { host, revision, granted, changes } = made;
  if (!dryRun && changes.length > 0)
    logger.info(
      { event: 'agent-granted', network, host, revision, granted, actor },
      'what an agent may run was changed',
    );
  const taken = await waited(options, network, revision, wait && !dryRun ? longest : undefined, signal);
  const warnings = [...made.warnings, ...inexactThere(state.current.networks.get(network), made, options.live)];
  return { ...made, warnings, ...taken };
}

/** A host that may run more is denied more: rules that it, with what it is granted now, does not enforce as written. */
function inexactThere(network: NetworkState | undefined, { host, granted }: Granted, live: LiveAgents): FieldProblem[] {
  const member = network?.agents.get(network.hosts.get(host) ?? '');
  if (network === undefined || member === undefined) return [];
  return inexactRules(network.mesh, { ...network, agents: new Map([[member.id, { ...member, granted }]]) }, live);
}
