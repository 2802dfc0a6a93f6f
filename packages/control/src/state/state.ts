/**
 * The one writer. A change is mesh, committed to disk, swapped in as the next snapshot, and told to listeners, all in
 * one turn of the loop: two callers cannot interleave, and none sees a change that could still be lost.
 */
import { randomBytes } from 'node:crypto';
import type { Mesh } from '@weft/proto';
import { type Act, auditRow } from '../audit/entry.ts';
import { byText } from '../order.ts';
import type { Store, Writes } from '../store/store.ts';
import { applied, forgotten, joined, revoked, tokenCreated, tokenRevoked } from './acts.ts';
import { diffMeshes } from './diff.ts';
import { StateError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { checkMesh } from './mesh-check.ts';
import { type Commit, Network } from './network.ts';
import { type Memory, restore } from './restore.ts';
import { fadedEnded, fadedTokens } from './retention.ts';
import { keepRevision, meshAt, revisionsOf } from './revisions.ts';
import { emptyMesh, emptyNetwork, withNetwork } from './snapshot.ts';
import type {
  AgentState,
  AppliedMesh,
  ApplyOptions,
  ApplyResult,
  Change,
  EndedAgent,
  JoinGrant,
  NetworkState,
  Revision,
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

  apply(mesh: Mesh, { dryRun, actor }: ApplyOptions): ApplyResult {
    const before = this.current.networks.get(mesh.network);
    const revision = this.current.revision + 1;
    const warnings = checkMesh(mesh);
    if (before === undefined) this.#requireRoom();
    const { changes, takesAway } = diffMeshes(before?.mesh, mesh);
    if (dryRun || changes.length === 0) {
      return { revision: before?.revision ?? this.current.revision, changes, warnings };
    }
    const { network } = mesh;
    this.#change(takesAway, applied(network, changes, actor), (commit) => {
      if (before === undefined) return this.#newNetwork(mesh, revision, changes, commit);
      keepRevision(mesh, revision, changes, commit);
      return this.#network(network).withMesh(before, mesh, revision, commit);
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
      roles: token.roles,
      ephemeral: token.ephemeral,
      tokenId: token.id,
      joinedMs: this.#now(),
      version: grant.version,
    };
    const act = joined(grant.host, token.id, same !== undefined);
    let agent: AgentState | undefined;
    // An agent that joins again may come back with less than it had.
    this.#change(same !== undefined, act, (commit) => {
      commit.writes.countTokenUse(token.id);
      this.#memory.tokens.set(token.id, { ...token, uses: token.uses + 1 });
      const withIt = book.withAgent(network, joining, same, revision, commit);
      agent = withIt.agent;
      return withIt.network;
    });
    if (agent === undefined) throw new Error('a committed join has no agent');
    return { agent, revision };
  }

  revokeAgent(networkName: string, name: string, actor: string): { agentId: string; host: string; revision: number } {
    const network = this.#networkState(networkName);
    const agent = network.agents.get(network.hosts.get(name) ?? name);
    if (agent === undefined) {
      throw new StateError('no-such-agent', `network ${networkName} has no agent ${name}; see weft agents`);
    }
    const reason = `host ${agent.host} was revoked by an operator`;
    const revision = this.#end(network, [agent], reason, true, revoked(agent, actor));
    return { agentId: agent.id, host: agent.host, revision };
  }

  forgetAgent(agentId: string): boolean {
    const network = this.current.networks.get(this.current.agents.get(agentId) ?? '');
    const agent = network?.agents.get(agentId);
    if (network === undefined || agent === undefined || !agent.ephemeral) return false;
    const reason = `host ${agent.host} is ephemeral and was away too long`;
    this.#end(network, [agent], reason, false, forgotten(agent));
    return true;
  }

  registerInstances(agentId: string, services: readonly string[]): void {
    const network = this.current.networks.get(this.current.agents.get(agentId) ?? '');
    const agent = network?.agents.get(agentId);
    if (network === undefined || agent === undefined) return;
    const book = this.#network(network.name);
    const missing = book.missingInstances(network, agent, services);
    if (missing.length === 0) return;
    this.#change(false, undefined, (commit) => book.withInstances(network, agentId, missing, commit));
  }

  createToken(scope: TokenScope, secretHash: Uint8Array, lifetimeMs: number, actor: string): TokenState {
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
    const act = tokenCreated(token, network === undefined, actor);
    const add = (writes: Writes): void => {
      for (const id of faded) {
        writes.removeToken(id);
        this.#memory.tokens.delete(id);
      }
      writes.addToken(token);
      this.#memory.tokens.set(token.id, token);
    };
    if (network !== undefined) {
      this.#writeAct(network, act, add);
      return token;
    }
    const mesh = emptyMesh(scope.network);
    checkMesh(mesh);
    this.#requireRoom();
    const revision = this.current.revision + 1;
    const { changes } = diffMeshes(undefined, mesh);
    this.#change(false, act, (commit) => {
      const made = this.#newNetwork(mesh, revision, changes, commit);
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

  revokeToken(id: string, actor: string): { hosts: readonly string[]; revision: number } {
    const token = this.#memory.tokens.get(id);
    if (token === undefined) throw new StateError('no-such-token', `there is no token ${id}; see weft token list`);
    const network = this.#networkState(token.network);
    const members = [...network.agents.values()].filter((agent) => agent.tokenId === id);
    const mark = (writes: Writes): void => {
      writes.revokeToken(id);
      this.#memory.tokens.set(id, { ...token, revoked: true });
    };
    const hosts = members.map((agent) => agent.host).sort(byText);
    const act = tokenRevoked(id, hosts, actor);
    let { revision } = network;
    if (members.length === 0) this.#writeAct(network, act, mark);
    else revision = this.#end(network, members, `token ${id} was revoked by an operator`, true, act, mark);
    return { hosts, revision };
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

  revisions(network: string, limit: number): readonly Revision[] {
    return revisionsOf(this.#store, this.#networkState(network).name, limit);
  }

  meshAt(network: string, revision: number): AppliedMesh {
    return meshAt(this.#store, this.current, this.#networkState(network).name, revision);
  }

  #end(
    network: NetworkState,
    agents: readonly AgentState[],
    reason: string,
    revoked: boolean,
    act: Act,
    alsoWrite: (writes: Writes) => void = () => undefined,
  ): number {
    const revision = this.current.revision + 1;
    const endedMs = this.#now();
    const ended = agents.map(({ id, host, identityKey }): EndedAgent => {
      return { id, network: network.name, host, identityKey, reason, revoked, endedMs };
    });
    const faded = fadedEnded(this.#memory.ended.values(), endedMs);
    this.#change(true, act, (commit) => {
      alsoWrite(commit.writes);
      for (const id of faded) commit.writes.removeEndedAgent(id);
      for (const agent of ended) commit.writes.addEndedAgent(agent);
      for (const id of faded) this.#memory.ended.delete(id);
      for (const agent of ended) this.#memory.ended.set(agent.id, agent);
      return this.#network(network.name).withoutAgents(network, agents, revision, commit);
    });
    return revision;
  }

  /**
   * Commits what `work` writes, and beside it who did it, makes the network that it returns part of the next snapshot, and
   * tells listeners. Without an act it is nobody's doing.
   */
  #change(takesAway: boolean, act: Act | undefined, work: (commit: Commit) => NetworkState): void {
    const previous = this.current;
    const network = this.#write((writes) => {
      const nowMs = this.#now();
      const changed = work({ writes, nowMs });
      writes.setRevision(changed.name, changed.revision);
      if (act !== undefined) {
        writes.addAudit(auditRow({ ...act, network: changed.name, revision: changed.revision }, nowMs));
      }
      return changed;
    });
    const next = withNetwork(previous, network);
    this.#memory = { ...this.#memory, state: next };
    for (const listener of this.#listeners) listener(next, previous, { networks: [network.name], takesAway });
  }

  /** An act that is no change of what agents know. */
  #writeAct({ name }: NetworkState, act: Act, work: (writes: Writes) => void): void {
    this.#write((writes) => {
      work(writes);
      writes.addAudit(auditRow({ ...act, network: name }, this.#now()));
    });
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

  #newNetwork(mesh: Mesh, revision: number, changes: readonly Change[], commit: Commit): NetworkState {
    const empty = emptyNetwork(mesh, revision);
    const network = new Network(empty.name, { addresses: [], instances: [] });
    commit.writes.addNetwork({ name: empty.name, revision, secret: empty.secret });
    keepRevision(mesh, revision, changes, commit);
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
