/** Rows to values. Every field is checked for its type: a table edited by hand is reported, not believed. */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Contents } from './rows.ts';

type Row = Record<string, SQLOutputValue>;

export function readAll(database: DatabaseSync): Contents {
  const all = <T>(sql: string, convert: (row: Row) => T): T[] => (database.prepare(sql).all() as Row[]).map(convert);
  return {
    networks: all('SELECT * FROM networks ORDER BY name', (row) => ({
      name: text(row, 'name'),
      revision: integer(row, 'revision'),
      mesh: text(row, 'mesh'),
      secret: bytes(row, 'secret'),
    })),
    agents: all('SELECT * FROM agents ORDER BY id', (row) => ({
      id: text(row, 'id'),
      network: text(row, 'network'),
      host: text(row, 'host'),
      identityKey: bytes(row, 'identity_key'),
      tunnelKey: bytes(row, 'tunnel_key'),
      services: names(row, 'services'),
      gateway: flag(row, 'gateway'),
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
      gateway: flag(row, 'gateway'),
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
  };
}

function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column} does not hold text`);
  return value;
}

function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError(`column ${column} holds no integer`);
  return value;
}

function flag(row: Row, column: string): boolean {
  return integer(row, column) !== 0;
}

function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} does not hold bytes`);
  return value;
}

function names(row: Row, column: string): string[] {
  const value: unknown = JSON.parse(text(row, column));
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
    throw new TypeError(`column ${column} holds no list of names`);
  }
  return value;
}
