/**
 * The one writer of this process. A change is worked out, committed, swapped in as the next snapshot, and told to listeners
 * before the next one begins: two callers cannot interleave, and none sees a change that could still be lost.
 */
import { byText, type Mesh } from '@weft/proto';
import { auditRow } from '../audit/entry.ts';
import type { ChangeLog, History } from '../store/change-log.ts';
import { type Clocks, startClocks } from './clocks.ts';
import type { Draft, Outcome } from './draft.ts';
import type { MeshEdit } from './edits.ts';
import { StateError } from './errors.ts';
import { grantServices } from './grants.ts';
import { mayRunIn } from './may-run.ts';
import { addInstances, forgetAgent, join, removeNetwork, renameAgent, revokeAgent } from './members.ts';
import { advance, type Memory, requireNetwork, tokensIn } from './memory.ts';
import { applyMesh, checkMesh, editMesh, formerRevision, meshAt, revisionsOf } from './meshes.ts';
import { neededAfter } from './needed.ts';
import { olderDataFound, tellOlder } from './older-data.ts';
import { restore } from './restore.ts';
import { keptTokens } from './retention.ts';
import { beginRun, compare, numberOn } from './runs.ts';
import { createToken, replaceToken, revokeToken, revokeWithTokens } from './tokens.ts';
import type {
  AppliedMesh,
  ApplyOptions,
  ApplyResult,
  Compared,
  EndedAgent,
  Grant,
  Granted,
  Heard,
  OlderData,
  Revision,
  State,
  StateChange,
  StateListener,
  StateStore,
  TokenState,
} from './types.ts';

export interface StateOptions {
  readonly store: ChangeLog & History;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that is never set; the process's own when left out. */
  readonly steady?: () => number;
}

/** Rejects with StoreError. */
export function openState(options: StateOptions): Promise<StateStore> {
  return Writer.open(options);
}

/** How often a change is worked out anew where others write to the same data. */
const MOST_TRIES = 50;
/** The rest are too many to be read. */
const HOSTS_NAMED = 100;

class Writer implements StateStore {
  readonly #store: ChangeLog & History;
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #listeners = new Set<StateListener>();
  #memory: Memory = NOTHING;
  /** Whether memory may differ from the disk: its books were moved by a change of which it is not known that it was made. */
  #unsure: boolean = false;
  #clocks: Clocks | undefined;
  #olderData: OlderData | undefined;
  #acceptsOlderData: boolean = false;
  /** Ends when all that was begun has. */
  #last: Promise<void> | undefined;

  readonly removeNetwork = this.#changing(removeNetwork);
  readonly join = this.#changing(join);
  readonly renameAgent = this.#changing(renameAgent);
  readonly revokeAgent = this.#changing(revokeAgent);
  readonly forgetAgent = this.#changing(forgetAgent);
  readonly registerInstances = this.#changing(addInstances);
  readonly createToken = this.#changing(createToken);
  readonly replaceToken = this.#changing(replaceToken);
  readonly revokeWithTokens = this.#changing(revokeWithTokens);
  readonly revokeToken = this.#changing(revokeToken);
  readonly #beginRun = this.#changing(beginRun);
  readonly numberOn = this.#changing(numberOn);

  private constructor({ store, now, steady = () => performance.now() }: StateOptions) {
    this.#store = store;
    this.#now = now;
    this.#steady = steady;
  }

  static async open(options: StateOptions): Promise<StateStore> {
    const writer = new Writer(options);
    await options.store.follow((sequence) => writer.#heard(sequence));
    await writer.#inTurn(() => writer.#catchUp());
    return writer;
  }

  get current(): State {
    return this.#memory.state;
  }

  lookAtClock(): void {
    this.#clocks?.believed();
  }

  subscribe(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async apply(mesh: Mesh, options: ApplyOptions): Promise<ApplyResult> {
    return await this.#change((memory, draft) => {
      // In its turn: what hosts may run may change before.
      const warnings = checkMesh(mesh, mayRunIn(mesh, memory.state.networks.get(mesh.network)));
      return applyMesh(memory, draft, { mesh, warnings }, options);
    }, options);
  }

  async edit(network: string, edit: MeshEdit, options: ApplyOptions): Promise<ApplyResult> {
    return await this.#change((memory, draft) => editMesh(memory, draft, network, edit, options), options);
  }

  async grantServices(network: string, grant: Grant, options: ApplyOptions): Promise<Granted> {
    return await this.#change((memory, draft) => grantServices(memory, draft, network, grant, options), options);
  }

  token(id: string): TokenState | undefined {
    return this.#memory.tokens.get(id);
  }

  tokens(network: string): readonly TokenState[] {
    const agents = this.current.networks.get(network)?.agents.values() ?? [];
    return keptTokens(tokensIn(this.#memory, network), agents, this.#now()).reverse();
  }

  endedAgent(agentId: string): EndedAgent | undefined {
    return this.#memory.ended.get(agentId);
  }

  async revisions(network: string, limit: number, before?: number): Promise<readonly Revision[]> {
    return await revisionsOf(this.#store, requireNetwork(this.#memory, network).name, limit, before);
  }

  async meshAt(network: string, revision: number): Promise<AppliedMesh> {
    return await meshAt(this.#store, this.current.revision, requireNetwork(this.#memory, network).name, revision);
  }

  async formerRevision(mesh: Mesh, said?: number): Promise<number | undefined> {
    // It only tells: what cannot be read of the past holds up no change.
    return await formerRevision(this.#store, mesh, said).catch(() => undefined);
  }

  compare(heard: Heard): Compared {
    return compare(this.#memory, heard);
  }

  beginRun(acceptOlderData: boolean): Promise<string> {
    this.#acceptsOlderData = acceptOlderData;
    return this.#beginRun(acceptOlderData);
  }

  get acceptsOlderData(): boolean {
    return this.#acceptsOlderData;
  }

  get olderData(): OlderData | undefined {
    return this.#olderData;
  }

  async foundOlder(host: string, heard: number): Promise<void> {
    const { hosts, revision, sinceMs } = this.#olderData ?? { hosts: [], revision: heard, sinceMs: this.#now() };
    const first = this.#olderData === undefined;
    const all = [...new Set([...hosts, host])].slice(0, HOSTS_NAMED).sort(byText);
    this.#olderData = { revision: Math.max(revision, heard), hosts: all, sinceMs };
    if (first) await this.#store.record(auditRow(olderDataFound(this.#olderData, this.current.revision), sinceMs));
  }

  /** One after the other, in the order of asking; begun at once when nothing is under way. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    const turn = before === undefined ? work() : before.then(work);
    const end = (): void => {
      if (this.#last === promise) this.#last = undefined;
      resolve();
    };
    turn.then(end, end);
    return turn;
  }

  /** The change that is worked out so, asked for by what it takes beside. */
  #changing<Asked extends unknown[], T>(work: (memory: Memory, draft: Draft, ...asked: Asked) => Outcome<T>) {
    return (...asked: Asked): Promise<T> => this.#change((memory, draft) => work(memory, draft, ...asked));
  }

  /** What only tells what a change would come to is worked out from older data too. */
  #change<T>(work: Work<T>, { dryRun }: Pick<ApplyOptions, 'dryRun'> = { dryRun: false }): Promise<T> {
    return this.#inTurn(async () => {
      const older = this.#olderData;
      if (older !== undefined && !dryRun) throw new StateError('older-data', tellOlder(older, this.current.revision));
      try {
        for (let tries = 0; tries < MOST_TRIES; tries++) {
          if (this.#unsure) await this.#catchUp();
          const made = await this.#commit(work);
          // Undefined when another writer was first: it is worked out again, from what that one made.
          if (made !== undefined) return made.answer;
        }
        throw new StateError(
          'contended',
          `other writers were first ${MOST_TRIES} times; nothing was changed, try again`,
        );
      } catch (error) {
        // What could not be read now is read before the next change.
        if (this.#unsure) await this.#catchUp().catch(() => undefined);
        throw error;
      }
    });
  }

  async #commit<T>(work: Work<T>): Promise<Outcome<T> | undefined> {
    const { sequence, state } = this.#memory;
    const clocks = this.#clocks;
    if (clocks === undefined) throw new Error('the data was not read yet');
    const at = { nowMs: this.#now(), clocks, sequence: sequence + 1, revision: state.revision + 1 };
    const draft: Draft = { ...at, writes: [] };
    let sure = false;
    try {
      const outcome = work(this.#memory, draft);
      finish(draft, outcome);
      if (draft.writes.length > 0) mark(this.#memory, draft, outcome);
      sure = draft.writes.length === 0 || (await this.#store.append(sequence, draft.writes));
      if (!sure) return undefined;
      if (draft.writes.length === 0) return outcome;
      const { networks = [], removed, takesAway = false } = outcome;
      const names = [...networks.map(({ name }) => name), ...(removed === undefined ? [] : [removed])];
      this.#memory = advance(this.#memory, draft.writes, networks);
      if (names.length > 0) this.#tell(state, { networks: names, takesAway });
      return outcome;
    } finally {
      this.#unsure = !sure && draft.writes.length > 0;
    }
  }

  /** A commit that is not ours is taken in after what is under way. */
  #heard(sequence: number): void {
    this.#inTurn(async () => {
      if (sequence > this.#memory.sequence) await this.#catchUp();
    }).catch(() => undefined);
  }

  /** Makes memory what the disk says, where others may have written, and a commit that failed may have come through. */
  async #catchUp(): Promise<void> {
    const before = this.current;
    const contents = await this.#store.read();
    this.#clocks ??= startClocks({ now: this.#now, steady: this.#steady }, contents);
    const memory = restore(contents, before);
    const { networks } = memory.state;
    const names = new Set([...before.networks.keys(), ...networks.keys()]);
    const differ = [...names].filter((name) => networks.get(name) !== before.networks.get(name));
    // One made by another and removed again makes no difference, but its numbers are given.
    const isSame = differ.length === 0 && memory.state.revision === before.revision;
    this.#memory = isSame ? { ...memory, state: before } : memory;
    this.#unsure = false;
    if (!isSame) this.#tell(before, { networks: differ, takesAway: differ.length > 0 });
  }

  #tell(previous: State, change: StateChange): void {
    for (const listener of this.#listeners) listener(this.current, previous, change);
  }
}

type Work<T> = (memory: Memory, draft: Draft) => Outcome<T>;

const NOTHING: Memory = {
  sequence: 0,
  needed: 0,
  state: { revision: 0, networks: new Map(), agents: new Map() },
  books: new Map(),
  tokens: new Map(),
  ended: new Map(),
  runs: new Map(),
};

/** An older control must not take up words that it would pass over, and may again once they are gone. */
function mark(memory: Memory, draft: Draft, outcome: Outcome<unknown>): void {
  const needed = neededAfter(memory, draft, outcome);
  if (needed !== memory.needed) draft.writes.push({ write: 'setNeeded', row: { needed } });
}

/** What is written beside every change: revisions of networks, and who did it. */
function finish({ writes, nowMs }: Draft, { networks = [], act }: Outcome<unknown>): void {
  for (const { name, revision } of networks) writes.push({ write: 'setRevision', row: { name, revision } });
  if (act === undefined) return;
  // Each network's audit tells of what was done to it.
  for (const { name: network, revision } of networks)
    writes.push({ write: 'addAudit', row: auditRow({ ...act, network, revision }, nowMs) });
  if (networks.length === 0) writes.push({ write: 'addAudit', row: auditRow(act, nowMs) });
}
