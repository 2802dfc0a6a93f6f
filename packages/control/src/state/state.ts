/**
 * The one writer. A change is mesh, committed to disk, swapped in as the next snapshot, and told to listeners, all in
 * one turn of the loop: two callers cannot interleave, and none sees a change that could still be lost.
 */
import { randomBytes } from 'node:crypto';
import type { Mesh } from '@weft/proto';
import { byText } from '../order.ts';
import type { Store, Writes } from '../store/store.ts';
import { diffMeshes } from './diff.ts';
import { StateError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkMesh } from './mesh-check.ts';
import { type Commit, Network } from './network.ts';
import { type Memory, restore } from './restore.ts';
import { fadedEnded, fadedTokens } from './retention.ts';
import type {
  AgentState,
  ApplyResult,
  EndedAgent,
  JoinGrant,
  NetworkState,
  State,
  StateListener,
  StateStore,
  TokenScope,
  TokenState,
} from './types.ts';

export interface StateOptions {
  readonly store: Store;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export function openState(options: StateOptions): StateStore {
  return new Writer(options);
}

class Writer implements StateStore {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #listeners = new Set<StateListener>();
  #memory: Memory;

  constructor({ store, now }: StateOptions) {
    this.#store = store;
    this.#now = now;
    this.#memory = restore(store.read());
  }

  get current(): State {
    return this.#memory.state;
  }

  subscribe(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  apply(mesh: Mesh, { dryRun }: { readonly dryRun: boolean }): ApplyResult {
    const before = this.current.networks.get(mesh.network);
    const revision = this.current.revision + 1;
    const warnings = checkMesh(mesh);
    if (before === undefined) this.#requireRoom();
    const { changes, takesAway } = diffMeshes(before?.mesh, mesh);
    if (dryRun || changes.length === 0) {
      return { revision: before?.revision ?? this.current.revision, changes, warnings };
    }
    this.#change(takesAway, (commit) => {
      if (before === undefined) return this.#newNetwork(mesh, revision, commit);
      commit.writes.setMesh(before.name, JSON.stringify(mesh));
      return this.#network(before.name).withMesh(before, mesh, revision, commit);
    });
    return { revision, changes, warnings };
  }

  join(grant: JoinGrant): { readonly agent: AgentState; readonly revision: number } {
    const token = this.#memory.tokens.get(grant.token.id);
    if (token === undefined || token.revoked) throw new StateError('no-such-token', 'the token is gone');
    const network = this.#networkState(token.network);
    const book = this.#network(network.name);
    const same = network.agents.get(book.keyHolder(grant.identityKey) ?? '');
    if (same !== undefined && isRepeat(same, grant)) return { agent: same, revision: network.revision };
    if (!token.reusable && token.uses > 0) throw new StateError('used', 'the token was used');
    for (const holder of [network.hosts.get(grant.host), book.keyHolder(grant.tunnelKey)]) {
      if (holder !== undefined && holder !== same?.id) {
        throw new StateError('taken', `host ${network.agents.get(holder)?.host ?? holder} has this name or key`);
      }
    }
    if (same === undefined && network.agents.size >= LIMITS.agentsPerNetwork) {
      throw new StateError('limit', `network ${network.name} has ${LIMITS.agentsPerNetwork} agents, and takes no more`);
    }
    const revision = this.current.revision + 1;
    const joining = {
      id: same?.id ?? `ag_${randomBytes(8).toString('hex')}`,
      network: network.name,
      host: grant.host,
      identityKey: Uint8Array.from(grant.identityKey),
      tunnelKey: Uint8Array.from(grant.tunnelKey),
      services: token.services,
      gateway: token.gateway,
      ephemeral: token.ephemeral,
      tokenId: token.id,
      joinedMs: this.#now(),
      version: grant.version,
    };
    let agent: AgentState | undefined;
    // An agent that joins again may come back with less than it had.
    this.#change(same !== undefined, (commit) => {
      commit.writes.countTokenUse(token.id);
      this.#memory.tokens.set(token.id, { ...token, uses: token.uses + 1 });
      const joined = book.withAgent(network, joining, same, revision, commit);
      agent = joined.agent;
      return joined.network;
    });
    if (agent === undefined) throw new Error('a committed join has no agent');
    return { agent, revision };
  }

  revokeAgent(networkName: string, name: string): { agentId: string; host: string; revision: number } {
    const network = this.#networkState(networkName);
    const agent = network.agents.get(network.hosts.get(name) ?? name);
    if (agent === undefined) {
      throw new StateError('no-such-agent', `network ${networkName} has no agent ${name}; see weft agents`);
    }
    const revision = this.#end(network, [agent], `host ${agent.host} was revoked by an operator`, true);
    return { agentId: agent.id, host: agent.host, revision };
  }

  forgetAgent(agentId: string): boolean {
    const network = this.current.networks.get(this.current.agents.get(agentId) ?? '');
    const agent = network?.agents.get(agentId);
    if (network === undefined || agent === undefined || !agent.ephemeral) return false;
    this.#end(network, [agent], `host ${agent.host} is ephemeral and was away too long`, false);
    return true;
  }

  registerInstances(agentId: string, services: readonly string[]): void {
    const network = this.current.networks.get(this.current.agents.get(agentId) ?? '');
    const agent = network?.agents.get(agentId);
    if (network === undefined || agent === undefined) return;
    const book = this.#network(network.name);
    const missing = book.missingInstances(network, agent, services);
    if (missing.length === 0) return;
    this.#change(false, (commit) => book.withInstances(network, agentId, missing, commit));
  }

  createToken(scope: TokenScope, secretHash: Uint8Array, lifetimeMs: number): TokenState {
    const network = this.current.networks.get(scope.network);
    const createdMs = this.#now();
    const tokens = this.tokens(scope.network).toReversed();
    const most = LIMITS.tokensPerNetwork;
    const faded = fadedTokens(tokens, network?.agents.values() ?? [], { nowMs: createdMs, most });
    const held = tokens.length - faded.length;
    if (held >= most) {
      throw new StateError('limit', `network ${scope.network} has ${held} tokens; revoke some, or use a reusable one`);
    }
    const token: TokenState = {
      ...scope,
      services: [...new Set(scope.services)].sort(byText),
      id: `tk_${randomBytes(8).toString('hex')}`,
      secretHash,
      createdMs,
      expiresMs: createdMs + lifetimeMs,
      uses: 0,
      revoked: false,
    };
    const add = (writes: Writes): void => {
      for (const id of faded) {
        writes.removeToken(id);
        this.#memory.tokens.delete(id);
      }
      writes.addToken(token);
      this.#memory.tokens.set(token.id, token);
    };
    if (network !== undefined) {
      this.#write(add);
      return token;
    }
    const mesh = emptyMesh(scope.network);
    checkMesh(mesh);
    this.#requireRoom();
    const revision = this.current.revision + 1;
    this.#change(false, (commit) => {
      const made = this.#newNetwork(mesh, revision, commit);
      add(commit.writes);
      return made;
    });
    return token;
  }

  token(id: string): TokenState | undefined {
    return this.#memory.tokens.get(id);
  }

  tokens(network: string): readonly TokenState[] {
    return [...this.#memory.tokens.values()].filter((token) => token.network === network).reverse();
  }

  revokeToken(id: string): { hosts: readonly string[]; revision: number } {
    const token = this.#memory.tokens.get(id);
    if (token === undefined) throw new StateError('no-such-token', `there is no token ${id}; see weft token list`);
    const network = this.#networkState(token.network);
    const members = [...network.agents.values()].filter((agent) => agent.tokenId === id);
    const mark = (writes: Writes): void => {
      writes.revokeToken(id);
      this.#memory.tokens.set(id, { ...token, revoked: true });
    };
    let { revision } = network;
    if (members.length > 0)
      revision = this.#end(network, members, `token ${id} was revoked by an operator`, true, mark);
    else this.#write(mark);
    return { hosts: members.map((agent) => agent.host).sort(byText), revision };
  }

  endedAgent(agentId: string): EndedAgent | undefined {
    return this.#memory.ended.get(agentId);
  }

  lastRevoked(network: string, identityKey: Uint8Array): EndedAgent | undefined {
    let last: EndedAgent | undefined;
    for (const agent of this.#memory.ended.values()) {
      const same = agent.revoked && agent.network === network && Buffer.compare(agent.identityKey, identityKey) === 0;
      // They come in the order in which they ended.
      if (same) last = agent;
    }
    return last;
  }

  #end(
    network: NetworkState,
    agents: readonly AgentState[],
    reason: string,
    revoked: boolean,
    alsoWrite: (writes: Writes) => void = () => undefined,
  ): number {
    const revision = this.current.revision + 1;
    const endedMs = this.#now();
    const ended = agents.map(({ id, host, identityKey }): EndedAgent => {
      return { id, network: network.name, host, identityKey, reason, revoked, endedMs };
    });
    const faded = fadedEnded(this.#memory.ended.values(), endedMs);
    this.#change(true, (commit) => {
      alsoWrite(commit.writes);
      for (const id of faded) commit.writes.removeEndedAgent(id);
      for (const agent of ended) commit.writes.addEndedAgent(agent);
      for (const id of faded) this.#memory.ended.delete(id);
      for (const agent of ended) this.#memory.ended.set(agent.id, agent);
      return this.#network(network.name).withoutAgents(network, agents, revision, commit);
    });
    return revision;
  }

  /** Commits what `work` writes, makes the network that it returns part of the next snapshot, and tells listeners. */
  #change(takesAway: boolean, work: (commit: Commit) => NetworkState): void {
    const previous = this.current;
    const network = this.#write((writes) => {
      const changed = work({ writes, nowMs: this.#now() });
      writes.setRevision(changed.name, changed.revision);
      return changed;
    });
    const next = withNetwork(previous, network);
    this.#memory = { ...this.#memory, state: next };
    for (const listener of this.#listeners) listener(next, previous, { networks: [network.name], takesAway });
  }

  /**
   * A transaction that may move things in memory as it goes. When it fails, memory is built again from the disk: a commit
   * that reported an error may have reached it or not, and only the disk knows.
   */
  #write<T>(work: (writes: Writes) => T): T {
    try {
      return this.#store.transaction(work);
    } catch (error) {
      this.#memory = restore(this.#store.read());
      throw error;
    }
  }

  #requireRoom(): void {
    if (this.current.networks.size < LIMITS.networks) return;
    throw new StateError('limit', `there are ${LIMITS.networks} networks, and control holds no more`);
  }

  #newNetwork(mesh: Mesh, revision: number, commit: Commit): NetworkState {
    const empty = emptyNetwork(mesh, revision);
    const network = new Network(empty.name, { addresses: [], instances: [] });
    commit.writes.addNetwork({ name: empty.name, revision, mesh: JSON.stringify(mesh), secret: empty.secret });
    this.#memory.networks.set(empty.name, network);
    return network.withMesh(empty, mesh, revision, commit);
  }

  #networkState(name: string): NetworkState {
    const network = this.current.networks.get(name);
    if (network !== undefined) return network;
    throw new StateError('no-such-network', `there is no network ${name}; weft apply makes it`);
  }

  #network(name: string): Network {
    const network = this.#memory.networks.get(name);
    if (network === undefined) throw new Error(`network ${name} has a snapshot and no book`);
    return network;
  }
}

/** The answer to this join got lost, or the agent was started again with its old token: nothing is to be done. */
function isRepeat(agent: AgentState, grant: JoinGrant): boolean {
  return (
    agent.tokenId === grant.token.id &&
    agent.host === grant.host &&
    Buffer.from(agent.tunnelKey).equals(Buffer.from(grant.tunnelKey))
  );
}

/** What a network that nothing was applied to yet has. */
function emptyMesh(network: string): Mesh {
  return { network, services: [], defaultAction: 'allow', policies: [], agents: [], tests: [] };
}

function emptyNetwork(mesh: Mesh, revision: number): NetworkState {
  return {
    name: mesh.network,
    revision,
    mesh: { ...mesh, services: [] },
    secret: Uint8Array.from(randomBytes(32)),
    services: new Map(),
    agents: new Map(),
    hosts: new Map(),
    instances: new Map(),
  };
}

function withNetwork(previous: State, network: NetworkState): State {
  const before = previous.networks.get(network.name);
  const networks = new Map(previous.networks).set(network.name, network);
  let { agents } = previous;
  if (network.agents !== (before?.agents ?? network.agents)) {
    const changed = new Map(agents);
    for (const id of before?.agents.keys() ?? []) if (!network.agents.has(id)) changed.delete(id);
    for (const id of network.agents.keys()) changed.set(id, network.name);
    agents = changed;
  }
  return { revision: Math.max(previous.revision, network.revision), networks, agents };
}
