/** The statements that change something. They are prepared once; a commit is a list of their words and rows. */
import type { DatabaseSync } from 'node:sqlite';
import { prepareHistoryWrites } from './history.ts';
import type { RowWrite, WriteRows, Writes } from './rows.ts';

export function prepareWrites(database: DatabaseSync): Writes {
  const addNetwork = database.prepare('INSERT INTO networks (name, revision, secret) VALUES (?, ?, ?)');
  const setRevision = database.prepare('UPDATE networks SET revision = ? WHERE name = ?');
  const putAgent = database.prepare(
    `INSERT INTO agents
       (id, network, host, identity_key, tunnel_key, services, roles, ephemeral, token_id, joined_ms, version)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       host = excluded.host, identity_key = excluded.identity_key, tunnel_key = excluded.tunnel_key,
       services = excluded.services, roles = excluded.roles, ephemeral = excluded.ephemeral,
       token_id = excluded.token_id, joined_ms = excluded.joined_ms, version = excluded.version`,
  );
  const removeAgent = database.prepare('DELETE FROM agents WHERE id = ?');
  const addInstance = database.prepare(
    'INSERT INTO instances (network, service, ordinal, agent_id) VALUES (?, ?, ?, ?)',
  );
  const removeInstance = database.prepare('DELETE FROM instances WHERE network = ? AND service = ? AND ordinal = ?');
  const putAddress = database.prepare(
    `INSERT INTO addresses (network, name, place, released_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (network, name) DO UPDATE SET place = excluded.place, released_ms = excluded.released_ms`,
  );
  const removeAddress = database.prepare('DELETE FROM addresses WHERE network = ? AND name = ?');
  const putToken = database.prepare(
    `INSERT INTO tokens
       (id, network, secret_hash, services, host, roles, reusable, ephemeral, created_ms, expires_ms, uses, revoked)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET uses = excluded.uses, revoked = excluded.revoked`,
  );
  const removeToken = database.prepare('DELETE FROM tokens WHERE id = ?');
  const addEndedAgent = database.prepare(
    'INSERT INTO ended_agents (id, network, host, identity_key, reason, revoked, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const removeEndedAgent = database.prepare('DELETE FROM ended_agents WHERE id = ?');
  const putRun = database.prepare(
    'INSERT INTO runs (timeline, revision) VALUES (?, ?) ON CONFLICT (timeline) DO UPDATE SET revision = excluded.revision',
  );
  const removeRun = database.prepare('DELETE FROM runs WHERE timeline = ?');
  const bit = (value: boolean): number => (value ? 1 : 0);

  return {
    addNetwork: (row) => void addNetwork.run(row.name, row.revision, row.secret),
    setRevision: (row) => void setRevision.run(row.revision, row.name),
    putAgent: (row) =>
      void putAgent.run(
        row.id,
        row.network,
        row.host,
        row.identityKey,
        row.tunnelKey,
        JSON.stringify(row.services),
        JSON.stringify(row.roles),
        bit(row.ephemeral),
        row.tokenId,
        row.joinedMs,
        row.version,
      ),
    removeAgent: ({ id }) => void removeAgent.run(id),
    addInstance: (row) => void addInstance.run(row.network, row.service, row.ordinal, row.agentId),
    removeInstance: (row) => void removeInstance.run(row.network, row.service, row.ordinal),
    putAddress: (row) => void putAddress.run(row.network, row.name, row.offset, row.releasedMs ?? null),
    removeAddress: (row) => void removeAddress.run(row.network, row.name),
    putToken: (row) =>
      void putToken.run(
        row.id,
        row.network,
        row.secretHash,
        JSON.stringify(row.services),
        row.host,
        JSON.stringify(row.roles),
        bit(row.reusable),
        bit(row.ephemeral),
        row.createdMs,
        row.expiresMs,
        row.uses,
        bit(row.revoked),
      ),
    removeToken: ({ id }) => void removeToken.run(id),
    addEndedAgent: (row) =>
      void addEndedAgent.run(row.id, row.network, row.host, row.identityKey, row.reason, bit(row.revoked), row.endedMs),
    putRun: ({ timeline, revision }) => void putRun.run(timeline, revision),
    removeRun: ({ timeline }) => void removeRun.run(timeline),
    removeEndedAgent: ({ id }) => void removeEndedAgent.run(id),
    ...prepareHistoryWrites(database),
  };
}

export function run<Word extends keyof WriteRows>(writes: Writes, { write, row }: RowWrite<Word>): void {
  writes[write](row);
}
