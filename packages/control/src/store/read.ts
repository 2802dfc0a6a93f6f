/** The tables to values. */
import type { DatabaseSync } from 'node:sqlite';
import { bytes, flag, integer, names, type Row, roles, text } from './columns.ts';
import type { Contents } from './rows.ts';

export function readAll(database: DatabaseSync): Contents {
  const all = <T>(sql: string, convert: (row: Row) => T): T[] => (database.prepare(sql).all() as Row[]).map(convert);
  return {
    sequence: all('SELECT sequence FROM change_log', (row) => integer(row, 'sequence'))[0] ?? 0,
    networks: all(
      `SELECT *, (SELECT mesh FROM revisions WHERE network = name ORDER BY revisions.revision DESC LIMIT 1) AS mesh
       FROM networks ORDER BY name`,
      (row) => ({
        name: text(row, 'name'),
        revision: integer(row, 'revision'),
        mesh: text(row, 'mesh'),
        secret: bytes(row, 'secret'),
      }),
    ),
    agents: all('SELECT * FROM agents ORDER BY id', (row) => ({
      id: text(row, 'id'),
      network: text(row, 'network'),
      host: text(row, 'host'),
      identityKey: bytes(row, 'identity_key'),
      tunnelKey: bytes(row, 'tunnel_key'),
      services: names(row, 'services'),
      roles: roles(row, 'roles'),
      ephemeral: flag(row, 'ephemeral'),
      tokenId: text(row, 'token_id'),
      joinedMs: integer(row, 'joined_ms'),
      version: text(row, 'version'),
    })),
    instances: all('SELECT * FROM instances ORDER BY network, service, ordinal', (row) => ({
      network: text(row, 'network'),
      service: text(row, 'service'),
      ordinal: integer(row, 'ordinal'),
      agentId: text(row, 'agent_id'),
    })),
    // In order of release, which is the order the places become free again.
    addresses: all('SELECT * FROM addresses ORDER BY released_ms, place', (row) => ({
      network: text(row, 'network'),
      name: text(row, 'name'),
      offset: integer(row, 'place'),
      releasedMs: row.released_ms === null ? undefined : integer(row, 'released_ms'),
    })),
    tokens: all('SELECT * FROM tokens ORDER BY created_ms, id', (row) => ({
      id: text(row, 'id'),
      network: text(row, 'network'),
      secretHash: bytes(row, 'secret_hash'),
      services: names(row, 'services'),
      host: text(row, 'host'),
      roles: roles(row, 'roles'),
      reusable: flag(row, 'reusable'),
      ephemeral: flag(row, 'ephemeral'),
      createdMs: integer(row, 'created_ms'),
      expiresMs: integer(row, 'expires_ms'),
      uses: integer(row, 'uses'),
      revoked: flag(row, 'revoked'),
    })),
    endedAgents: all('SELECT * FROM ended_agents ORDER BY ended_ms, id', (row) => ({
      id: text(row, 'id'),
      network: text(row, 'network'),
      host: text(row, 'host'),
      identityKey: bytes(row, 'identity_key'),
      reason: text(row, 'reason'),
      revoked: flag(row, 'revoked'),
      endedMs: integer(row, 'ended_ms'),
    })),
    runs: all('SELECT * FROM runs ORDER BY place', (row) => ({
      timeline: text(row, 'timeline'),
      revision: integer(row, 'revision'),
    })),
  };
}
