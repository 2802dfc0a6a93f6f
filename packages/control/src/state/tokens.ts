/** Join tokens are made and revoked: each change worked out. */
import { randomBytes } from 'node:crypto';
import { byText, joinTokenState, type Mesh } from '@weft/proto';
import { type Act, listed } from '../audit/entry.ts';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { mayRunIn } from './may-run.ts';
import { hangingOn, tokensOf, withOther, withoutToken } from './member-rights.ts';
import { end, requireAgent } from './members.ts';
import { bookOf, type Memory, requireNetwork, tokensIn } from './memory.ts';
import { checkMesh, makeNetwork } from './meshes.ts';
import { fadedTokens } from './retention.ts';
import { asOf } from './taken.ts';
import type {
  AgentState,
  CreatedToken,
  EndedByTokens,
  NetworkState,
  ReplacedToken,
  RevokedToken,
  RevokedWithTokens,
  TokenScope,
  TokenState,
} from './types.ts';

export function createToken(
  memory: Memory,
  draft: Draft,
  scope: TokenScope,
  secretHash: Uint8Array,
  lifetimeMs: number,
  actor: string,
  absent: 'make' | 'refuse' = 'make',
): Outcome<CreatedToken> {
  const network = memory.state.networks.get(scope.network);
  if (network === undefined && absent === 'refuse') {
    const names = [...memory.state.networks.keys()].sort(byText).join(', ');
    throw new StateError(
      'no-such-network',
      `there is no network ${scope.network}${names === '' ? '' : `; there are: ${names}`}; weft apply makes one, and so does --new-network`,
      [],
      { network: scope.network },
    );
  }
  makeRoom(memory, draft, scope.network);
  const token: TokenState = {
    ...scope,
    services: [...new Set(scope.services)].sort(byText),
    id: `tk_${randomBytes(8).toString('hex')}`,
    sequence: draft.sequence,
    secretHash,
    createdMs: draft.nowMs,
    expiresMs: draft.nowMs + lifetimeMs,
    uses: 0,
    revoked: false,
    endedMs: undefined,
    replacedBy: '',
    asOf: undefined,
  };
  const act = { ...created(token, network === undefined, actor), network: scope.network };
  const made = network === undefined ? { networks: [makeEmpty(memory, draft, scope.network)] } : {};
  draft.writes.push({ write: 'putToken', row: token });
  return { ...made, answer: { ...token, networkCreated: network === undefined }, act };
}

/** For one token more, at the cost of those that ended; `instead` is the one that ends by it. Throws StateError `limit`. */
function makeRoom(memory: Memory, draft: Draft, name: string, instead?: TokenState): void {
  const most = LIMITS.tokensPerNetwork;
  const others = tokensIn(memory, name).filter((token) => token !== instead);
  const agents = memory.state.networks.get(name)?.agents.values() ?? [];
  const { faded, held } = fadedTokens(others, agents, { nowMs: draft.clocks.believed(), most });
  if (held >= most) {
    throw new StateError('limit', `network ${name} has ${held} tokens; revoke some, or use a reusable one`);
  }
  for (const id of faded) draft.writes.push({ write: 'removeToken', row: { id } });
}

/** A network as a first token makes it: nothing was applied to it yet. */
function makeEmpty(memory: Memory, draft: Draft, name: string): NetworkState {
  const mesh: Mesh = { network: name, services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
  checkMesh(mesh, mayRunIn(mesh, undefined));
  return makeNetwork(memory, draft, mesh);
}

export function replaceToken(
  memory: Memory,
  draft: Draft,
  id: string,
  secretHash: Uint8Array,
  lifetimeMs: number | undefined,
  actor: string,
): Outcome<ReplacedToken> {
  const before = requireToken(memory, id);
  // What was taken is forgotten once no token could give it back: one that has ended must not come to admit again.
  const worth = joinTokenState(before, draft.clocks.believed());
  if (worth !== 'valid') {
    const how = { revoked: 'was revoked', expired: 'has expired', used: 'was used' }[worth];
    const words = `token ${id} ${how}, so that nobody new joins with it; there is nothing to replace: make one with weft token create`;
    throw new StateError('token-ended', words, [], { token: id });
  }
  const network = requireNetwork(memory, before.network);
  makeRoom(memory, draft, network.name, before);
  const token: TokenState = {
    ...before,
    id: `tk_${randomBytes(8).toString('hex')}`,
    sequence: draft.sequence,
    // It is the same to hosts that were revoked, and of what was taken: what is new is the secret.
    asOf: asOf(before),
    secretHash,
    createdMs: draft.nowMs,
    expiresMs: draft.nowMs + (lifetimeMs ?? before.expiresMs - before.createdMs),
    uses: 0,
    endedMs: undefined,
  };
  const endedMs = before.endedMs ?? draft.nowMs;
  draft.writes.push({ write: 'putToken', row: token });
  draft.writes.push({ write: 'putToken', row: { ...before, revoked: true, endedMs, replacedBy: token.id } });
  const changed = joinedWith(network, id).map((agent) => ({ agent, rights: withOther(agent.rights, id, token.id) }));
  const hosts = changed.map(({ agent }) => agent.host).sort(byText);
  const detail = [`by ${token.id}`, listed(hosts, 'agent'), `until ${new Date(token.expiresMs).toISOString()}`];
  const act = { actor, action: 'token-replace', subject: `token ${id}`, detail: detail.filter(Boolean).join('; ') };
  // A revision where it changes nothing for agents too: they can tell a control that was restored from before by it.
  const changing = bookOf(memory, network.name).withRights(network, changed, draft);
  return { answer: { token, hosts, revision: draft.revision }, networks: [changing], act };
}

function requireToken(memory: Memory, id: string): TokenState {
  const token = memory.tokens.get(id);
  if (token === undefined)
    throw new StateError('no-such-token', `there is no token ${id}; see weft token list`, [], { token: id });
  if (token.replacedBy === '') return token;
  const { replacedBy } = token;
  const words = `token ${id} admits nobody: ${replacedBy} is in its place, and the hosts that joined with it hang on that one`;
  throw new StateError('token-ended', words, [], { token: id, replacedBy });
}

function joinedWith(network: NetworkState, id: string): AgentState[] {
  return [...network.agents.values()].filter((agent) => tokensOf(agent).includes(id));
}

export function revokeToken(memory: Memory, draft: Draft, id: string, actor: string): Outcome<RevokedToken> {
  const token = requireToken(memory, id);
  const network = requireNetwork(memory, token.network);
  const [hosts, narrowed] = hangingOn(network.agents.values(), [id]);
  if (hosts.length + narrowed.length === 0 && token.revoked)
    return { answer: { hosts: [], narrowed: [], madeEphemeral: [], revision: network.revision, already: true } };
  const detail = ends(memory, [hosts, narrowed], [id]);
  const act = { actor, action: 'token-revoke', network: network.name, subject: `token ${id}`, detail };
  const ended = revokeAll(memory, draft, network, [id], { reason: `token ${id} was revoked by an operator`, act });
  return { ...ended, answer: { ...ended.answer, already: false } };
}

/** The member ends, and each token that it joined with, at once: nothing can come between. */
export function revokeWithTokens(
  memory: Memory,
  draft: Draft,
  name: string,
  named: string,
  actor: string,
): Outcome<RevokedWithTokens> {
  const network = requireNetwork(memory, name);
  const agent = requireAgent(network, named);
  const { id: agentId, host } = agent;
  const tokens = tokensOf(agent);
  const detail = [
    agentId,
    `with ${listed([...tokens].sort(byText), 'token')}`,
    ends(memory, hangingOn(network.agents.values(), tokens), tokens),
  ];
  const act = { actor, action: 'agent-revoke', subject: `agent ${host}`, detail: detail.join('; ') };
  const reason = `host ${host} was revoked by an operator, with its tokens`;
  const ended = revokeAll(memory, draft, network, tokens, { reason, act });
  return { ...ended, answer: { ...ended.answer, agentId, tokens } };
}

const hostsOf = (agents: readonly AgentState[]): string[] => agents.map(({ host }) => host).sort(byText);

function ends(memory: Memory, [ended, adding]: ReturnType<typeof hangingOn>, ids: readonly string[]): string {
  const takes = adding.length === 0 ? '' : `taken from ${listed(hostsOf(adding), 'agent')}`;
  const made = hostsOf(adding.filter((agent) => comesToBeEphemeral(memory, agent, ids)));
  const changes = made.length === 0 ? '' : `ephemeral from now on: ${listed(made, 'agent')}`;
  return [listed(hostsOf(ended), 'agent'), takes, changes].filter(Boolean).join('; ');
}

function revokeAll(
  memory: Memory,
  draft: Draft,
  network: NetworkState,
  ids: readonly string[],
  { reason, act }: { readonly reason: string; readonly act: Act },
): Outcome<EndedByTokens> {
  const [agents, adding] = hangingOn(network.agents.values(), ids);
  for (const token of ids.flatMap((id) => memory.tokens.get(id) ?? []))
    draft.writes.push({ write: 'putToken', row: { ...token, revoked: true, endedMs: token.endedMs ?? draft.nowMs } });
  const { revision } = draft;
  const made = adding.filter((agent) => comesToBeEphemeral(memory, agent, ids));
  const left = adding.map((agent) => {
    const rights = ids.reduce(withoutToken, agent.rights);
    return {
      agent: { ...agent, ephemeral: agent.ephemeral || made.includes(agent), rightsRevision: revision },
      rights,
    };
  });
  // A revision all the same where nobody joined with it: agents hear of it, and can tell a control that was restored from before.
  const narrower = bookOf(memory, network.name).withRights(network, left, draft);
  const answer = { hosts: hostsOf(agents), narrowed: hostsOf(adding), madeEphemeral: hostsOf(made), revision };
  if (agents.length === 0) return { answer, networks: [narrower], takesAway: adding.length > 0, act };
  return { ...end(memory, draft, { network: narrower, agents }, { reason, revoked: true, act }), answer };
}

/** As its tokens say that are left: where those that made it stay are revoked, it stays no longer. */
function comesToBeEphemeral({ tokens }: Memory, agent: AgentState, ids: readonly string[]): boolean {
  const rights = ids.reduce(withoutToken, agent.rights);
  if (agent.ephemeral || rights.length === agent.rights.length) return false;
  return rights.every(({ tokenId }) => tokenId === '' || tokens.get(tokenId)?.ephemeral === true);
}

function created(token: TokenState, makesNetwork: boolean, actor: string): Act {
  const { id, services, host, roles, reusable, ephemeral, expiresMs } = token;
  const words = [
    ...(makesNetwork ? ['makes the network'] : []),
    ...(services.length > 0 ? [listed(services, 'service')] : []),
    ...(host === '' ? [] : [`host ${host}`]),
    ...roles,
    ...(reusable ? ['reusable'] : []),
    ...(ephemeral ? ['ephemeral'] : []),
    `until ${new Date(expiresMs).toISOString()}`,
  ];
  return { actor, action: 'token-create', subject: `token ${id}`, detail: words.join('; ') };
}
