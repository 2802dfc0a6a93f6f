/** The tables to values. */
import type { DatabaseSync } from 'node:sqlite';
import { type Columns, INTEGER, type Row, type RowOf, reader, TEXT } from './columns.ts';
import { ADDRESSES, AGENTS, type Contents, ENDED_AGENTS, INSTANCES, NETWORKS, RUNS, TOKENS } from './rows.ts';

export function readAll(database: DatabaseSync): Contents {
  const all = <C extends Columns>(columns: C, sql: string): RowOf<C>[] =>
    (database.prepare(sql).all() as Row[]).map(reader(columns));
  return {
    sequence: all({ sequence: INTEGER }, 'SELECT sequence FROM change_log')[0]?.sequence ?? 0,
    networks: all(
      { ...NETWORKS, mesh: TEXT },
      `SELECT *, (SELECT mesh FROM revisions WHERE network = name ORDER BY revisions.revision DESC LIMIT 1) AS mesh
       FROM networks ORDER BY name`,
    ),
    agents: all(AGENTS, 'SELECT * FROM agents ORDER BY id'),
    instances: all(INSTANCES, 'SELECT * FROM instances ORDER BY network, service, ordinal'),
    // In order of release, which is the order the places become free again.
    addresses: all(ADDRESSES, 'SELECT * FROM addresses ORDER BY released_ms, place'),
    tokens: all(TOKENS, 'SELECT * FROM tokens ORDER BY sequence, created_ms, id'),
    endedAgents: all(ENDED_AGENTS, 'SELECT * FROM ended_agents ORDER BY sequence, ended_ms, id'),
    runs: all(RUNS, 'SELECT * FROM runs ORDER BY place'),
  };
}
