/**
 * Control's tables, and the steps to them from those of an older version. The SQL is SQLite's own: INTEGER holds milliseconds,
 * flags are 0 or 1, and lists are JSON.
 */
import type { Schema } from './schema-steps.ts';

const TABLES = `
  CREATE TABLE networks (
    name TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    secret BLOB NOT NULL
  );
  CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL REFERENCES networks (name),
    secret_hash BLOB NOT NULL,
    services TEXT NOT NULL,
    host TEXT NOT NULL,
    roles TEXT NOT NULL,
    reusable INTEGER NOT NULL,
    ephemeral INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    sequence INTEGER NOT NULL
  );
  CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL REFERENCES networks (name),
    host TEXT NOT NULL,
    identity_key BLOB NOT NULL,
    tunnel_key BLOB NOT NULL,
    services TEXT NOT NULL,
    roles TEXT NOT NULL,
    ephemeral INTEGER NOT NULL,
    token_id TEXT NOT NULL,
    joined_ms INTEGER NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (network, host),
    UNIQUE (network, identity_key),
    UNIQUE (network, tunnel_key)
  );
  CREATE TABLE instances (
    network TEXT NOT NULL REFERENCES networks (name),
    service TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    PRIMARY KEY (network, service, ordinal),
    UNIQUE (agent_id, service)
  );
  CREATE TABLE addresses (
    network TEXT NOT NULL REFERENCES networks (name),
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    released_ms INTEGER,
    PRIMARY KEY (network, name),
    UNIQUE (network, place)
  );
  CREATE TABLE ended_agents (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL,
    host TEXT NOT NULL,
    identity_key BLOB NOT NULL,
    reason TEXT NOT NULL,
    revoked INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    sequence INTEGER NOT NULL
  );
  -- Meshes as they were applied: the newest of a network's is its mesh.
  CREATE TABLE revisions (
    network TEXT NOT NULL REFERENCES networks (name),
    revision INTEGER NOT NULL,
    applied_ms INTEGER NOT NULL,
    changes TEXT NOT NULL,
    mesh TEXT NOT NULL,
    PRIMARY KEY (network, revision)
  );
  CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    network TEXT NOT NULL,
    subject TEXT NOT NULL,
    revision INTEGER NOT NULL,
    detail TEXT NOT NULL,
    refused INTEGER NOT NULL
  );
  CREATE INDEX audit_by_kind ON audit (refused, sequence);
  -- How many commits were made, by which two writers see that one was first.
  CREATE TABLE change_log (sequence INTEGER NOT NULL);
  INSERT INTO change_log (sequence) VALUES (0);
  -- Which runs of control the data comes from.
  CREATE TABLE runs (
    place INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    timeline TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    given_up INTEGER NOT NULL
  );
`;

/** The newest of all networks, as an expression: of those that were removed, the audit alone has the end. */
export const NEWEST_REVISION =
  'MAX((SELECT IFNULL(MAX(revision), 0) FROM networks), (SELECT IFNULL(MAX(revision), 0) FROM audit))';

export const SCHEMA: Schema = {
  // "Weft".
  applicationId: 0x57656674,
  base: 9,
  tables: TABLES,
  steps: [
    { adds: true, sql: "ALTER TABLE agents ADD COLUMN earlier_token_ids TEXT NOT NULL DEFAULT '[]'" },
    { adds: true, sql: 'ALTER TABLE tokens ADD COLUMN ended_ms INTEGER' },
    // With each mesh, so that one that an older version adds has none.
    { adds: true, sql: "ALTER TABLE revisions ADD COLUMN origins TEXT NOT NULL DEFAULT ''" },
    {
      adds: true,
      sql: `
        ALTER TABLE tokens ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '';
        ALTER TABLE tokens ADD COLUMN as_of INTEGER;
        ALTER TABLE agents ADD COLUMN rights TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE agents ADD COLUMN taken TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE agents ADD COLUMN rights_revision INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE ended_agents ADD COLUMN taken TEXT NOT NULL DEFAULT '[]'`,
    },
  ],
};
