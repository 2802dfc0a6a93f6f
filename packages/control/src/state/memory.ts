/** What the writer holds of everything, and how a commit moves it on. */
import type { RowWrite, RunRow } from '../store/rows.ts';
import { StateError } from './errors.ts';
import type { Network } from './network.ts';
import type { EndedAgent, NetworkState, State, TokenState } from './types.ts';

/** Everything as of the last commit, but for the books: the change that is worked out moves those as it goes. */
export interface Memory {
  /** Of the last commit. */
  readonly sequence: number;
  readonly state: State;
  /** The schema that a control must know to work with the data. */
  readonly needed: number;
  /** By network. */
  readonly books: Map<string, Network>;
  /** By id, oldest first. */
  readonly tokens: Map<string, TokenState>;
  /** By agent id, in the order in which they ended. */
  readonly ended: Map<string, EndedAgent>;
  /** By timeline, oldest first. */
  readonly runs: Map<string, RunRow>;
}

export function requireNetwork({ state }: Memory, name: string): NetworkState {
  const network = state.networks.get(name);
  if (network !== undefined) return network;
  throw new StateError('no-such-network', `there is no network ${name}; weft apply makes it`, [], { network: name });
}

/** Oldest first. */
export function tokensIn({ tokens }: Memory, network: string): TokenState[] {
  return [...tokens.values()].filter((token) => token.network === network);
}

export function bookOf({ books }: Memory, name: string): Network {
  const book = books.get(name);
  if (book === undefined) throw new Error(`network ${name} has a snapshot and no book`);
  return book;
}

/** After `writes` were committed, with `networks` as they make them. */
export function advance(memory: Memory, writes: readonly RowWrite[], networks: readonly NetworkState[]): Memory {
  const { tokens, ended, runs, books } = memory;
  let { state, needed } = memory;
  for (const { write, row } of writes) {
    if (write === 'putToken') tokens.set(row.id, row);
    else if (write === 'removeToken') tokens.delete(row.id);
    else if (write === 'putEndedAgent') ended.set(row.id, row);
    else if (write === 'removeEndedAgent') ended.delete(row.id);
    else if (write === 'putRun') runs.set(row.timeline, row);
    else if (write === 'removeRun') runs.delete(row.timeline);
    else if (write === 'setNeeded') needed = row.needed;
    else if (write === 'removeNetwork') {
      books.delete(row.name);
      for (const { id, network } of [...tokens.values()]) if (network === row.name) tokens.delete(id);
      state = withoutNetwork(state, row);
    }
  }
  return { ...memory, needed, sequence: memory.sequence + 1, state: networks.reduce(withNetwork, state) };
}

function withoutNetwork({ networks, agents }: State, { name, revision }: { name: string; revision: number }): State {
  return {
    revision,
    networks: new Map([...networks].filter(([other]) => other !== name)),
    agents: new Map([...agents].filter(([, network]) => network !== name)),
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
