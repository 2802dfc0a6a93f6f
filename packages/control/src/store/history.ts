/** What was: meshes that were applied, and who did what. It is read when somebody asks, and bounded as it is written. */
import type { DatabaseSync } from 'node:sqlite';
import type { AuditQuery } from './change-log.ts';
import { INTEGER, inserter, type Row, reader } from './columns.ts';
import { AUDIT, REVISIONS, type Writes } from './rows.ts';

/** Meshes kept of one network. */
export const REVISIONS_KEPT = 200;

/**
 * Rows of the audit kept: 10,000 with those that wait for the next trim. What was refused has a bound of its own, so that
 * strangers who are turned away cannot push out who did what.
 */
export const AUDIT_KEPT = { acts: 8_900, refusals: 900 } as const;
/** Rows between two trims. */
const TRIM_EVERY = 100;

/** Reads at once what History promises. */
export function prepareHistory(database: DatabaseSync) {
  const revisions = database.prepare(
    'SELECT network, revision, applied_ms, changes FROM revisions WHERE network = ? AND revision < ? ORDER BY revision DESC LIMIT ?',
  );
  const meshAt = database.prepare(
    'SELECT revision, mesh FROM revisions WHERE network = ? AND revision <= ? ORDER BY revision DESC LIMIT 1',
  );
  const oldest = database.prepare('SELECT revision FROM revisions WHERE network = ? ORDER BY revision LIMIT 1');
  // By its length first, which is known without the mesh being read.
  const ofMesh = database.prepare(
    'SELECT revision FROM revisions WHERE network = ? AND octet_length(mesh) = ? AND mesh = ? ORDER BY revision DESC LIMIT 1',
  );
  const audit = database.prepare(
    `SELECT sequence, at_ms, actor, action, network, subject, revision, detail FROM audit
     WHERE sequence < ? AND (? = '' OR network = ? OR network = '') ORDER BY sequence DESC LIMIT ?`,
  );
  const { mesh, origins: _, ...told } = REVISIONS;
  const [readTold, readMesh, readEntry] = [reader(told), reader({ revision: INTEGER, mesh }), reader(AUDIT)];
  return {
    revisions: (network: string, limit: number, before = Number.MAX_SAFE_INTEGER) =>
      (revisions.all(network, before, limit) as Row[]).map(readTold),
    meshAt: (network: string, revision: number) => {
      const row = meshAt.get(network, revision) as Row | undefined;
      return row && readMesh(row);
    },
    oldestRevision: (network: string) => {
      const row = oldest.get(network) as Row | undefined;
      return row && INTEGER.read(row.revision);
    },
    revisionOf: (network: string, mesh: string) => {
      const row = ofMesh.get(network, Buffer.byteLength(mesh), mesh) as Row | undefined;
      return row && INTEGER.read(row.revision);
    },
    audit: ({ network, limit, before = Number.MAX_SAFE_INTEGER }: AuditQuery) =>
      (audit.all(before, network, network, limit) as Row[]).map(readEntry),
  };
}

export function prepareHistoryWrites(database: DatabaseSync): Pick<Writes, 'addRevision' | 'setOrigins' | 'addAudit'> {
  const addRevision = inserter(database, 'revisions', REVISIONS);
  const trimRevisions = database.prepare(
    `DELETE FROM revisions WHERE network = ? AND revision <=
       (SELECT revision FROM revisions WHERE network = ? ORDER BY revision DESC LIMIT 1 OFFSET ${REVISIONS_KEPT})`,
  );
  const setOrigins = database.prepare('UPDATE revisions SET origins = ? WHERE network = ? AND revision = ?');
  // Only the oldest rows ever go, so the highest number that is there is the highest there was.
  const addAudit = database.prepare(
    `INSERT INTO audit (sequence, at_ms, actor, action, network, subject, revision, detail, refused)
     SELECT COALESCE(MAX(sequence), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM audit RETURNING sequence`,
  );
  // Where the newest revision is the end of a network, nothing else has it: without it, its number would be given again.
  const trimAudit = database.prepare(
    `DELETE FROM audit WHERE refused = ? AND (revision = 0 OR revision < (SELECT MAX(revision) FROM audit)) AND sequence <=
       (SELECT sequence FROM audit WHERE refused = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
  );
  return {
    addRevision: (row) => {
      addRevision(row);
      trimRevisions.run(row.network, row.network);
    },
    setOrigins: ({ network, revision, origins }) => void setOrigins.run(origins, network, revision),
    addAudit: ({ atMs, actor, action, network, subject, revision, detail, refused }) => {
      const row = addAudit.get(atMs, actor, action, network, subject, revision, detail, refused ? 1 : 0) as Row;
      if (INTEGER.read(row.sequence) % TRIM_EVERY !== 0) return;
      trimAudit.run(0, 0, AUDIT_KEPT.acts);
      trimAudit.run(1, 1, AUDIT_KEPT.refusals);
    },
  };
}
