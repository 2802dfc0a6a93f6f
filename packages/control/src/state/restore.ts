/** From what is on disk to what is in memory. */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '@weft/proto';
import { StoreError } from '../store/errors.ts';
import type { Contents } from '../store/rows.ts';
import { readMesh } from './kept-mesh.ts';
import type { Memory } from './memory.ts';
import { Network } from './network.ts';
import type { NetworkState, State } from './types.ts';

/** What is the same as in `before` stays the same object. */
export function restore(contents: Contents, before?: State): Memory {
  try {
    return build(contents, before);
  } catch (error) {
    const message = `control's data does not hold together: ${messageOf(error)}; restore it from a backup`;
    throw new StoreError('corrupt', message, { cause: error });
  }
}

function build(contents: Contents, before: State | undefined): Memory {
  const books = new Map<string, Network>();
  const states = new Map<string, NetworkState>();
  const agents = new Map<string, string>();
  const addresses = Map.groupBy(contents.addresses, (row) => row.network);
  const instances = Map.groupBy(contents.instances, (row) => row.network);
  const members = Map.groupBy(contents.agents, (row) => row.network);
  const names = new Set(contents.networks.map(({ name }) => name));
  const stray = contents.agents.find(({ network }) => !names.has(network));
  if (stray !== undefined) throw new Error(`the network of agent ${stray.id} has no mesh`);
  const tokens = new Map(contents.tokens.map((token) => [token.id, token]));
  for (const row of contents.networks) {
    const book = new Network(row.name, {
      addresses: addresses.get(row.name) ?? [],
      instances: instances.get(row.name) ?? [],
    });
    books.set(row.name, book);
    const restored = book.restore(row, readMesh(row.mesh), members.get(row.name) ?? [], tokens);
    const known = before?.networks.get(row.name);
    states.set(row.name, known !== undefined && isDeepStrictEqual(known, restored) ? known : restored);
    for (const agent of members.get(row.name) ?? []) agents.set(agent.id, row.name);
  }
  return {
    sequence: contents.sequence,
    needed: contents.needed,
    // Every change that counts is a network's, so the newest of them is the count of all.
    state: { revision: contents.revision, networks: states, agents },
    books,
    tokens,
    ended: new Map(contents.endedAgents.map((agent) => [agent.id, agent])),
    runs: new Map(contents.runs.map((run) => [run.timeline, run])),
  };
}
