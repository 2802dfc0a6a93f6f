/** Join tokens are made and revoked: each change worked out. */
import { randomBytes } from 'node:crypto';
import { byText, type Mesh } from '@weft/proto';
import { type Act, listed } from '../audit/entry.ts';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { mayRunIn } from './may-run.ts';
import { end, tokensOf as tokensOfAgent } from './members.ts';
import { type Memory, requireNetwork } from './memory.ts';
import { checkMesh, makeNetwork } from './meshes.ts';
import { fadedTokens } from './retention.ts';
import type { CreatedToken, NetworkState, RevokedToken, TokenScope, TokenState } from './types.ts';

/** Oldest first. */
export function tokensOf({ tokens }: Memory, network: string): TokenState[] {
  return [...tokens.values()].filter((token) => token.network === network);
}

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
  const tokens = tokensOf(memory, scope.network);
  const most = LIMITS.tokensPerNetwork;
  const { faded, held } = fadedTokens(tokens, network?.agents.values() ?? [], { nowMs: draft.clocks.believed(), most });
  if (held >= most) {
    throw new StateError('limit', `network ${scope.network} has ${held} tokens; revoke some, or use a reusable one`);
  }
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
  };
  const act = { ...created(token, network === undefined, actor), network: scope.network };
  const made = network === undefined ? { networks: [makeEmpty(memory, draft, scope.network)] } : {};
  for (const id of faded) draft.writes.push({ write: 'removeToken', row: { id } });
  draft.writes.push({ write: 'putToken', row: token });
  return { ...made, answer: { ...token, networkCreated: network === undefined }, act };
}

/** A network as a first token makes it: nothing was applied to it yet. */
function makeEmpty(memory: Memory, draft: Draft, name: string): NetworkState {
  const mesh: Mesh = { network: name, services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
  checkMesh(mesh, mayRunIn(mesh, undefined));
  return makeNetwork(memory, draft, mesh);
}

export function revokeToken(memory: Memory, draft: Draft, id: string, actor: string): Outcome<RevokedToken> {
  const token = memory.tokens.get(id);
  if (token === undefined)
    throw new StateError('no-such-token', `there is no token ${id}; see weft token list`, [], { token: id });
  const network = requireNetwork(memory, token.network);
  const agents = [...network.agents.values()].filter((agent) => tokensOfAgent(agent).includes(id));
  const hosts = agents.map((agent) => agent.host).sort(byText);
  const act = {
    actor,
    action: 'token-revoke',
    network: network.name,
    subject: `token ${id}`,
    detail: listed(hosts, 'agent'),
  };
  draft.writes.push({ write: 'putToken', row: { ...token, revoked: true, endedMs: token.endedMs ?? draft.nowMs } });
  if (agents.length === 0 && token.revoked) return { answer: { hosts, revision: network.revision }, act };
  if (agents.length === 0) {
    // A revision all the same: agents hear of it, and can tell a control that was restored from before.
    const { revision } = draft;
    return { answer: { hosts, revision }, networks: [{ ...network, revision }], act };
  }
  const reason = `token ${id} was revoked by an operator`;
  const ended = end(memory, draft, { network, agents }, { reason, revoked: true, act });
  return { ...ended, answer: { hosts, revision: ended.answer } };
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
