/** Agents come and go: each change worked out. */
import { randomBytes } from 'node:crypto';
import { byText, listed as firstOf, joinTokenState, problem } from '@weft/proto';
import { type Act, CONTROL, listed } from '../audit/entry.ts';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import { saidOf, saidOfOneAlone } from './host-names.ts';
import { LIMITS } from './limits.ts';
import { summed, tokensOf, withToken } from './member-rights.ts';
import { bookOf, type Memory, requireNetwork, tokensIn } from './memory.ts';
import { fadedEnded } from './retention.ts';
import {
  allTaken,
  asOf,
  earlierSelves,
  formerSelves,
  givenBy,
  isFormer,
  placesOf,
  stillGiven,
  superseded,
} from './taken.ts';
import type {
  AgentState,
  EndedAgent,
  Joined,
  JoinGrant,
  NetworkState,
  RemovedNetwork,
  RenamedAgent,
  RevokedAgent,
  TokenState,
} from './types.ts';

/** Entries of a mesh that a refusal names. */
const NAMED = 8;

export function join(memory: Memory, draft: Draft, grant: JoinGrant): Outcome<Joined> {
  const token = memory.tokens.get(grant.token.id);
  if (token === undefined || token.revoked) throw new StateError('no-such-token', 'the token is gone');
  const before = requireNetwork(memory, token.network);
  const book = bookOf(memory, before.name);
  const same = before.agents.get(book.keyHolder(grant.identityKey) ?? '');
  if (same !== undefined && isRepeat(same, grant)) return { answer: { agent: same, revision: before.revision } };
  refuseRevoked(memory, token, grant);
  if (!token.reusable && token.uses > 0) throw new StateError('used', 'the token was used');
  for (const holder of [before.hosts.get(grant.host), book.keyHolder(grant.tunnelKey)]) {
    if (holder !== undefined && holder !== same?.id) {
      throw new StateError('taken', `host ${before.agents.get(holder)?.host ?? holder} has this name or key`);
    }
  }
  if (same === undefined && before.agents.size >= LIMITS.agentsPerNetwork) {
    throw new StateError('limit', `network ${before.name} has ${LIMITS.agentsPerNetwork} agents, and takes no more`);
  }
  const known = same !== undefined && tokensOf(same).includes(token.id);
  const former = same === undefined ? formerSelves(memory.ended.values(), { network: before.name, ...grant }) : [];
  const taken = same?.taken ?? allTaken(former.flatMap((one) => one.taken));
  // What a token permits comes to what the member has, once: what was taken since is not to come back by joining again.
  const given = known ? [] : givenBy(token, taken, before.mesh);
  const right = { tokenId: token.id, sinceMs: draft.nowMs, services: given, roles: token.roles };
  const nowMs = draft.clocks.believed();
  const rights = known
    ? same.rights
    : withToken(same?.rights ?? [], right, {
        most: LIMITS.tokensPerAgent,
        hasEnded: (id) => joinTokenState(memory.tokens.get(id) ?? GONE, nowMs) !== 'valid',
        stays: (id) => memory.tokens.get(id)?.ephemeral === false,
      });
  if (rights === undefined) {
    throw new StateError(
      'limit',
      `host ${grant.host} joined with ${LIMITS.tokensPerAgent} tokens already, with which others can still join or which gave it a role; use weft grant, or revoke some`,
    );
  }
  const joining = {
    id: same?.id ?? `ag_${randomBytes(8).toString('hex')}`,
    network: before.name,
    host: grant.host,
    identityKey: Uint8Array.from(grant.identityKey),
    tunnelKey: Uint8Array.from(grant.tunnelKey),
    ...summed(rights),
    // All of it: it holds against tokens from before, whatever a later one gives.
    taken,
    rightsRevision: known ? same.rightsRevision : draft.revision,
    ephemeral: token.ephemeral && same?.ephemeral !== false,
    joinedMs: draft.nowMs,
    version: grant.version,
  };
  draft.writes.push({ write: 'putToken', row: used(token, draft.nowMs) });
  const { agent, network } = book.withAgent(before, joining, same, draft);
  const subject = `agent ${grant.host}`;
  const detail = `${same === undefined ? 'with' : 'again, with'} token ${token.id}`;
  const act = { actor: subject, action: 'agent-join', subject, detail };
  // What is denied to a service that it may run now is denied to its processes.
  return { answer: { agent, revision: draft.revision }, networks: [network], takesAway: same !== undefined, act };
}

/** The memberships end, for this reason; `revoked` when an operator ended them. The answer is the revision. */
export function end(
  memory: Memory,
  draft: Draft,
  { network: before, agents }: { readonly network: NetworkState; readonly agents: readonly AgentState[] },
  { reason, revoked, act }: { readonly reason: string; readonly revoked: boolean; readonly act: Act },
): Outcome<number> {
  const { nowMs: endedMs, sequence, writes } = draft;
  const faded = fadedEnded(memory, draft.clocks.believed());
  for (const id of faded) writes.push({ write: 'removeEndedAgent', row: { id } });
  // Once for all agents that end by one change: a network may have thousands of both.
  const some = !revoked && agents.some(({ taken }) => taken.length > 0);
  const places = placesOf(some ? tokensIn(memory, before.name) : [], draft.clocks.believed());
  const earlier = earlierSelves(some ? memory.ended.values() : [], before.name);
  for (const { id, network, host, identityKey, taken: all } of agents) {
    // Who was revoked comes back by a later token only, which gives what it says.
    const taken = revoked ? [] : stillGiven(all, places);
    writes.push({
      write: 'putEndedAgent',
      row: { id, network, host, identityKey, reason, revoked, sequence, endedMs, taken },
    });
    if (taken.length === 0) continue;
    // What this one had of them it takes over.
    for (const one of superseded(earlier.get(host) ?? [], identityKey).filter((each) => !faded.includes(each.id)))
      writes.push({ write: 'putEndedAgent', row: { ...one, taken: [] } });
  }
  const network = bookOf(memory, before.name).withoutAgents(before, agents, draft);
  return { answer: draft.revision, networks: [network], takesAway: true, act };
}

export function revokeAgent(
  memory: Memory,
  draft: Draft,
  name: string,
  named: string,
  actor: string,
): Outcome<RevokedAgent> {
  const network = requireNetwork(memory, name);
  const agent = requireAgent(network, named);
  const { id: agentId, host } = agent;
  const reason = `host ${host} was revoked by an operator`;
  const act = { actor, action: 'agent-revoke', subject: `agent ${host}`, detail: agentId };
  const ending = { reason, revoked: true, act };
  const ended = end(memory, draft, { network, agents: [agent] }, ending);
  return { ...ended, answer: { agentId, host, revision: ended.answer } };
}

export function renameAgent(
  memory: Memory,
  draft: Draft,
  name: string,
  named: string,
  host: string,
  actor: string,
): Outcome<RenamedAgent> {
  const before = requireNetwork(memory, name);
  const agent = requireAgent(before, named);
  const { id: agentId, host: formerHost } = agent;
  if (host === formerHost)
    throw new StateError('invalid', `${host} is its name already`, [problem('host', 'expected another name')]);
  if (before.hosts.has(host)) throw new StateError('taken', `another host of network ${name} is called ${host}`);
  const differing = saidOfOneAlone(before.mesh, formerHost, host);
  if (differing.length > 0) {
    throw new StateError(
      'named-apart',
      `the mesh says of host ${formerHost} what it does not say of ${host}, so that other rules would hold for it by that name: ${firstOf(differing, NAMED)}; ` +
        `say the same of both (host:${formerHost} and host:${host}, and under agents), weft apply that, rename, and then remove ${formerHost}`,
    );
  }
  const network = bookOf(memory, name).withHost(before, agent, host, draft);
  const act = { actor, action: 'agent-rename', subject: `agent ${formerHost}`, detail: `to ${host}` };
  const answer = { agentId, formerHost, revision: draft.revision, leftOver: saidOf(before.mesh, formerHost) };
  return { answer, networks: [network], takesAway: true, act };
}

export function removeNetwork(memory: Memory, draft: Draft, name: string, actor: string): Outcome<RemovedNetwork> {
  const network = requireNetwork(memory, name);
  const agents = [...network.agents.values()];
  const hosts = agents.map(({ host }) => host).sort(byText);
  const { revision } = draft;
  const subject = `network ${name}`;
  const act = { actor, action: 'network-delete', network: name, subject, revision, detail: listed(hosts, 'agent') };
  // Nobody can come back with a token of it, and in another network of its name they are new.
  end(memory, draft, { network, agents }, { reason: `${subject} was removed by an operator`, revoked: false, act });
  draft.writes.push({ write: 'removeNetwork', row: { name, revision } });
  // Nothing of another network is another by it: the audit keeps the number, so that none is given twice.
  return { answer: { hosts, revision }, removed: name, takesAway: true, act };
}

/** Whether there was such an ephemeral member. */
export function forgetAgent(memory: Memory, draft: Draft, agentId: string): Outcome<boolean> {
  const member = memberOf(memory, agentId);
  if (member?.agent.ephemeral !== true) return { answer: false };
  const { network, agent } = member;
  const reason = `host ${agent.host} is ephemeral and was away too long`;
  const act = { actor: CONTROL, action: 'agent-forget', subject: `agent ${agent.host}`, detail: agentId };
  const ending = { reason, revoked: false, act };
  return { ...end(memory, draft, { network, agents: [agent] }, ending), answer: true };
}

/** By host name or id. Throws StateError `no-such-agent`. */
export function requireAgent(network: NetworkState, named: string): AgentState {
  const agent = network.agents.get(network.hosts.get(named) ?? named);
  if (agent !== undefined) return agent;
  throw new StateError('no-such-agent', `network ${network.name} has no agent ${named}; see weft agents`, [], {
    agent: named,
  });
}

/** Undefined when there is no such member. */
function memberOf(
  { state }: Memory,
  agentId: string,
): { readonly network: NetworkState; readonly agent: AgentState } | undefined {
  const network = state.networks.get(state.agents.get(agentId) ?? '');
  const agent = network?.agents.get(agentId);
  return network === undefined || agent === undefined ? undefined : { network, agent };
}

export function addInstances(
  memory: Memory,
  draft: Draft,
  agentId: string,
  services: readonly string[],
): Outcome<undefined> {
  const nothing = { answer: undefined };
  const member = memberOf(memory, agentId);
  if (member === undefined) return nothing;
  const book = bookOf(memory, member.network.name);
  const missing = book.missingInstances(member.network, member.agent, services);
  return missing.length === 0
    ? nothing
    : { ...nothing, networks: [book.withInstances(member.network, agentId, missing, draft)] };
}

/** What an operator revoked does not come back with a token from before, even a reusable one: not its keys, nor its name. */
function refuseRevoked({ ended }: Memory, token: TokenState, { host, identityKey }: JoinGrant): void {
  const isLater = (agent: EndedAgent): boolean =>
    agent.revoked && agent.sequence > asOf(token) && isFormer(agent, { network: token.network, host, identityKey });
  const last = Array.from(ended.values()).findLast(isLater);
  if (last === undefined) return;
  const when = new Date(last.endedMs).toISOString();
  throw new StateError('revoked', `${last.reason} at ${when}; if it may come back, make a new token for it`);
}

/** Once more. One that is good once has ended by it. */
function used(token: TokenState, nowMs: number): TokenState {
  const { reusable, uses, endedMs = reusable ? undefined : nowMs } = token;
  return { ...token, uses: uses + 1, endedMs };
}

/** A token that is kept no more. */
const GONE = { revoked: true, expiresMs: 0, reusable: false, uses: 0 };

/** The answer to this join got lost, or the agent was started again with its old token: nothing is to be done. */
function isRepeat(agent: AgentState, grant: JoinGrant): boolean {
  return (
    tokensOf(agent).includes(grant.token.id) &&
    agent.host === grant.host &&
    Buffer.from(agent.tunnelKey).equals(Buffer.from(grant.tunnelKey))
  );
}
