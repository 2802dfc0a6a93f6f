/**
 * The tables, as steps from one schema version to the next. Step n brings version n to n + 1; a step that was released is
 * never edited. The SQL is SQLite's own: INTEGER holds milliseconds, and DROP COLUMN keeps the rest of a row.
 */

/** Marks the file as control's, in SQLite's header ("Weft"). */
export const APPLICATION_ID = 0x57656674;

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE networks (
    name TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    mesh TEXT NOT NULL,
    secret BLOB NOT NULL
  );
  CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL REFERENCES networks (name),
    secret_hash BLOB NOT NULL,
    services TEXT NOT NULL,
    host TEXT NOT NULL,
    gateway INTEGER NOT NULL,
    reusable INTEGER NOT NULL,
    ephemeral INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    revoked INTEGER NOT NULL
  );
  CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL REFERENCES networks (name),
    host TEXT NOT NULL,
    identity_key BLOB NOT NULL,
    tunnel_key BLOB NOT NULL,
    services TEXT NOT NULL,
    gateway INTEGER NOT NULL,
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
    ended_ms INTEGER NOT NULL
  );
  `,
  // Meshes as they were applied, and who did what. A database from before knows its newest mesh, and not since when.
  `
  CREATE TABLE revisions (
    network TEXT NOT NULL REFERENCES networks (name),
    revision INTEGER NOT NULL,
    applied_ms INTEGER NOT NULL,
    changes TEXT NOT NULL,
    mesh TEXT NOT NULL,
    PRIMARY KEY (network, revision)
  );
  INSERT INTO revisions (network, revision, applied_ms, changes, mesh)
    SELECT name, revision, 0, '[]', mesh FROM networks;
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
  `,
  // What an agent may be is a list of roles.
  ...['tokens', 'agents'].map(
    (table) => `
  ALTER TABLE ${table} ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
  UPDATE ${table} SET roles = '["gateway"]' WHERE gateway = 1;
  ALTER TABLE ${table} DROP COLUMN gateway;
  `,
  ),
  // The newest of a network's revisions is its mesh.
  'ALTER TABLE networks DROP COLUMN mesh',
  // How many commits were made, by which two writers see that one was first.
  `
  CREATE TABLE change_log (sequence INTEGER NOT NULL);
  INSERT INTO change_log (sequence) VALUES (0);
  `,
  // Which runs of control the data comes from.
  `
  CREATE TABLE runs (
    place INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    timeline TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL
  );
  `,
  // What was made before this is not known to the change: of then, every token is taken for older than every revocation.
  `
  ALTER TABLE tokens ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE ended_agents ADD COLUMN sequence INTEGER NOT NULL DEFAULT 1;
  `,
  'ALTER TABLE runs ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0',
];
