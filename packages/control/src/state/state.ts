/**
 * The one writer. A change is mesh, committed to disk, swapped in as the next snapshot, and told to listeners, all in
 * one turn of the loop: two callers cannot interleave, and none sees a change that could still be lost.
 */
import type { Mesh } from '@weft/proto';
import { auditRow } from '../audit/entry.ts';
import type { Store } from '../store/store.ts';
import type { Draft, Outcome } from './draft.ts';
import { addInstances, forgetAgent, type Joined, join, type RevokedAgent, revokeAgent } from './members.ts';
import { advance, type Memory, requireNetwork } from './memory.ts';
import { checkMesh } from './mesh-check.ts';
import { applyMesh } from './meshes.ts';
import { restore } from './restore.ts';
import { meshAt, revisionsOf } from './revisions.ts';
import { createToken, type RevokedToken, revokeToken, tokensOf } from './tokens.ts';
import type {
  AppliedMesh,
  ApplyOptions,
  ApplyResult,
  EndedAgent,
  JoinGrant,
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

  apply(mesh: Mesh, options: ApplyOptions): ApplyResult {
    const warnings = checkMesh(mesh);
    return this.#change((memory, draft) => applyMesh(memory, draft, { mesh, warnings }, options));
  }

  join(grant: JoinGrant): Joined {
    return this.#change((memory, draft) => join(memory, draft, grant));
  }

  revokeAgent(network: string, agent: string, actor: string): RevokedAgent {
    return this.#change((memory, draft) => revokeAgent(memory, draft, { network, agent, actor }));
  }

  forgetAgent(agentId: string): boolean {
    return this.#change((memory, draft) => forgetAgent(memory, draft, agentId));
  }

  registerInstances(agentId: string, services: readonly string[]): void {
    this.#change((memory, draft) => addInstances(memory, draft, agentId, services));
  }

  createToken(scope: TokenScope, secretHash: Uint8Array, lifetimeMs: number, actor: string): TokenState {
    return this.#change((memory, draft) => createToken(memory, draft, { scope, secretHash, lifetimeMs, actor }));
  }

  revokeToken(id: string, actor: string): RevokedToken {
    return this.#change((memory, draft) => revokeToken(memory, draft, id, actor));
  }

  token(id: string): TokenState | undefined {
    return this.#memory.tokens.get(id);
  }

  tokens(network: string): readonly TokenState[] {
    return tokensOf(this.#memory, network).reverse();
  }

  endedAgent(agentId: string): EndedAgent | undefined {
    return this.#memory.ended.get(agentId);
  }

  lastRevoked(network: string, host: string, identityKey: Uint8Array): EndedAgent | undefined {
    let last: EndedAgent | undefined;
    for (const agent of this.#memory.ended.values()) {
      if (!agent.revoked || agent.network !== network) continue;
      // They come in the order in which they ended.
      if (agent.host === host || Buffer.compare(agent.identityKey, identityKey) === 0) last = agent;
    }
    return last;
  }

  revisions(network: string, limit: number): readonly Revision[] {
    return revisionsOf(this.#store, requireNetwork(this.#memory, network).name, limit);
  }

  meshAt(network: string, revision: number): AppliedMesh {
    return meshAt(this.#store, this.current, requireNetwork(this.#memory, network).name, revision);
  }

  /** Works a change out, commits it, makes it part of the next snapshot and tells listeners. */
  #change<T>(work: (memory: Memory, draft: Draft) => Outcome<T>): T {
    for (;;) {
      const previous = this.current;
      const draft: Draft = { nowMs: this.#now(), revision: previous.revision + 1, writes: [] };
      const outcome = this.#commit(draft, work);
      if (outcome === undefined) continue;
      const { answer, network, takesAway = false } = outcome;
      if (draft.writes.length === 0) return answer;
      this.#memory = advance(this.#memory, draft.writes, network);
      if (network === undefined) return answer;
      for (const listener of this.#listeners) listener(this.current, previous, { networks: [network.name], takesAway });
      return answer;
    }
  }

  /**
   * Undefined when another writer was first. Then, and when it fails, memory is built again from the disk: the draft has moved
   * the books, and a commit that reported an error may have reached the disk or not.
   */
  #commit<T>(draft: Draft, work: (memory: Memory, draft: Draft) => Outcome<T>): Outcome<T> | undefined {
    let committed = false;
    try {
      const outcome = work(this.#memory, draft);
      finish(draft, outcome);
      committed = draft.writes.length === 0 || this.#store.append(this.#memory.sequence, draft.writes);
      return committed ? outcome : undefined;
    } finally {
      if (!committed && draft.writes.length > 0) this.#memory = restore(this.#store.read());
    }
  }
}

/** What is written beside every change: the network's revision, and who did it. */
function finish({ writes, nowMs }: Draft, { network, act }: Outcome<unknown>): void {
  const at = network && { network: network.name, revision: network.revision };
  if (network !== undefined) writes.push({ write: 'setRevision', row: network });
  if (act !== undefined) writes.push({ write: 'addAudit', row: auditRow({ ...act, ...at }, nowMs) });
}
