/** What changes something. Statements are prepared once; a commit is a list of their words and rows. */
import type { DatabaseSync } from 'node:sqlite';
import { inserter, remover } from './columns.ts';
import { prepareHistoryWrites } from './history.ts';
import {
  ADDRESSES,
  AGENTS,
  ENDED_AGENTS,
  INSTANCES,
  NETWORKS,
  type RowWrite,
  RUNS,
  TOKENS,
  type WriteRows,
  type Writes,
} from './rows.ts';

export function prepareWrites(database: DatabaseSync): Writes {
  const setRevision = database.prepare('UPDATE networks SET revision = ? WHERE name = ?');
  const { id: _id, network: _network, ...changing } = AGENTS;
  const ofAgent = Object.keys(changing) as (keyof typeof changing)[];
  return {
    addNetwork: inserter(database, 'networks', NETWORKS),
    setRevision: ({ name, revision }) => void setRevision.run(revision, name),
    putAgent: inserter(database, 'agents', AGENTS, [['id'], ofAgent]),
    removeAgent: remover(database, 'agents', ['id']),
    addInstance: inserter(database, 'instances', INSTANCES),
    removeInstance: remover(database, 'instances', ['network', 'service', 'ordinal']),
    putAddress: inserter(database, 'addresses', ADDRESSES, [
      ['network', 'name'],
      ['place', 'releasedMs'],
    ]),
    removeAddress: remover(database, 'addresses', ['network', 'name']),
    putToken: inserter(database, 'tokens', TOKENS, [['id'], ['uses', 'revoked']]),
    removeToken: remover(database, 'tokens', ['id']),
    addEndedAgent: inserter(database, 'ended_agents', ENDED_AGENTS),
    removeEndedAgent: remover(database, 'ended_agents', ['id']),
    putRun: inserter(database, 'runs', RUNS, [['timeline'], ['revision', 'givenUp']]),
    removeRun: remover(database, 'runs', ['timeline']),
    ...prepareHistoryWrites(database),
  };
}

export function run<Word extends keyof WriteRows>(writes: Writes, { write, row }: RowWrite<Word>): void {
  writes[write](row);
}
