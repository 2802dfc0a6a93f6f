/** Control's data on disk, in SQLite. What `append` returned for survives the end of the process at any moment after. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import { messageOf } from '@weft/proto';
import { DatabaseSync } from '@weft/proto/files';
import type { ChangeLog, History } from './change-log.ts';
import { type Columns, INTEGER, inserter, type Row, type RowOf, reader, remover, TEXT } from './columns.ts';
import { StoreError } from './errors.ts';
import { prepareHistory, prepareHistoryWrites } from './history.ts';
import {
  ADDRESSES,
  AGENTS,
  type Contents,
  ENDED_AGENTS,
  INSTANCES,
  NETWORKS,
  type NewAuditRow,
  type RowWrite,
  RUNS,
  TOKENS,
  type WriteRows,
  type Writes,
} from './rows.ts';
import { NEWEST_REVISION } from './schema.ts';
import { BUSY_MS, refuseOthers, upgrade } from './upgrade.ts';

/** Told of each transaction: how long it took, and why it could not be written, if so. */
export type WriteObserver = (tookMs: number, failure: string | undefined) => void;

export class Store implements ChangeLog, History {
  readonly #database: DatabaseSync;
  readonly #step: StatementSync;
  readonly #writes: Writes;
  readonly read: () => Promise<Contents>;
  readonly revisions: History['revisions'];
  readonly meshAt: History['meshAt'];
  readonly oldestRevision: History['oldestRevision'];
  readonly revisionOf: History['revisionOf'];
  readonly audit: History['audit'];
  readonly #followers: ((sequence: number) => void)[] = [];
  readonly #wrote: WriteObserver;

  /** `database` has the newest schema. */
  private constructor(database: DatabaseSync, wrote: WriteObserver) {
    this.#database = database;
    this.#wrote = wrote;
    this.#step = database.prepare('UPDATE change_log SET sequence = sequence + 1 WHERE sequence = ?');
    this.#writes = prepareWrites(database);
    this.read = reading(() => readAll(database));
    const history = prepareHistory(database);
    this.revisions = reading(history.revisions);
    this.meshAt = reading(history.meshAt);
    this.oldestRevision = reading(history.oldestRevision);
    this.revisionOf = reading(history.revisionOf);
    this.audit = reading(history.audit);
  }

  /**
   * Opens `DIRECTORY/control.db`, and makes it when it is not there; the caller holds the directory's lock.
   */
  static open(directory: string, wrote: WriteObserver = () => undefined): Store {
    const path = join(directory, 'control.db');
    try {
      // SQLite gives its side files the mode of the database, so making it 0600 first covers all three.
      if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
    } catch (error) {
      throw openError(path, error);
    }
    return Store.#prepare(path, wrote);
  }

  /** A store that ends with the process. */
  static inMemory(): Store {
    return Store.#prepare(':memory:', () => undefined);
  }

  static #prepare(path: string, wrote: WriteObserver): Store {
    let database: DatabaseSync | undefined;
    try {
      refuseOthers(path);
      database = new DatabaseSync(path, { enableForeignKeyConstraints: true });
      upgrade(database, path);
      return new Store(database, wrote);
    } catch (error) {
      database?.close();
      if (error instanceof StoreError) throw error;
      throw openError(path, error);
    }
  }

  async follow(told: (sequence: number) => void): Promise<void> {
    this.#followers.push(told);
  }

  async append(expected: number, writes: readonly RowWrite[]): Promise<boolean> {
    const committed = this.#transaction(() => {
      const first = this.#step.run(expected).changes === 1;
      if (first) for (const each of writes) run(this.#writes, each);
      return first;
    });
    if (committed) for (const told of this.#followers) told(expected + 1);
    return committed;
  }

  async record(row: NewAuditRow): Promise<void> {
    this.#transaction(() => this.#writes.addAudit(row));
  }

  /** Writes what is there already: the observer hears whether a change could be written. Waits for nobody's lock. */
  tryWrite(): void {
    try {
      this.#database.exec('PRAGMA busy_timeout = 0');
      this.#transaction(() => {
        // The number of the schema, as it is: a page of the file all the same.
        const { user_version: number } = this.#database.prepare('PRAGMA user_version').get() ?? {};
        this.#database.exec(`PRAGMA user_version = ${number}`);
      });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    }
  }

  #transaction<T>(work: () => T): T {
    const startedMs = performance.now();
    let result: T;
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      result = work();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#rollBack();
      if (!isSqliteError(error)) throw error;
      const failure = messageOf(error);
      this.#wrote(performance.now() - startedMs, failure);
      const message = `control could not write its data: ${failure}; check the disk`;
      throw new StoreError('write-failed', message, { cause: error });
    }
    this.#wrote(performance.now() - startedMs, undefined);
    return result;
  }

  /** What failed before is what is to be told, whether this works or not. */
  #rollBack(): void {
    try {
      // After some failures, such as a full disk, SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch (error) {
      if (!isSqliteError(error)) throw error;
    }
  }

  close(): void {
    this.#database.close();
  }
}

function reading<Asked extends unknown[], T>(read: (...asked: Asked) => T): (...asked: Asked) => Promise<T> {
  return async (...asked) => {
    try {
      return read(...asked);
    } catch (error) {
      const message = `control's data cannot be read: ${messageOf(error)}; restore it from a backup`;
      throw new StoreError('corrupt', message, { cause: error });
    }
  };
}

function openError(path: string, error: unknown): StoreError {
  const [message, cause] = [messageOf(error), { cause: error }];
  if (/not a database|malformed|corrupt/i.test(message)) {
    return new StoreError('corrupt', `${path} is damaged or no database (${message}); restore it from a backup`, cause);
  }
  const advice = 'check that it is a file, no link to nothing, its owner, its mode and the disk';
  return new StoreError('unreadable', `cannot open ${path}: ${message}; ${advice}`, cause);
}

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
}

/** Statements are prepared once; a commit is a list of their words and rows. */
function prepareWrites(database: DatabaseSync): Writes {
  const setRevision = database.prepare('UPDATE networks SET revision = ? WHERE name = ?');
  const removals = [
    ...['revisions', 'tokens', 'addresses'].map((table) => `DELETE FROM ${table} WHERE network = ?`),
    'DELETE FROM networks WHERE name = ?',
  ].map((sql) => database.prepare(sql));
  const { id: _id, network: _network, ...changing } = AGENTS;
  const ofAgent = Object.keys(changing) as (keyof typeof changing)[];
  return {
    addNetwork: inserter(database, 'networks', NETWORKS),
    removeNetwork: ({ name }) => {
      for (const statement of removals) statement.run(name);
    },
    setRevision: ({ name, revision }) => void setRevision.run(revision, name),
    setNeeded: ({ needed }) => database.exec(`PRAGMA user_version = ${needed}`),
    putAgent: inserter(database, 'agents', AGENTS, [['id'], ofAgent]),
    removeAgent: remover(database, 'agents', ['id']),
    addInstance: inserter(database, 'instances', INSTANCES),
    removeInstance: remover(database, 'instances', ['network', 'service', 'ordinal']),
    putAddress: inserter(database, 'addresses', ADDRESSES, [
      ['network', 'name'],
      ['place', 'releasedMs'],
    ]),
    removeAddress: remover(database, 'addresses', ['network', 'name']),
    putToken: inserter(database, 'tokens', TOKENS, [['id'], ['uses', 'revoked', 'endedMs', 'replacedBy']]),
    removeToken: remover(database, 'tokens', ['id']),
    putEndedAgent: inserter(database, 'ended_agents', ENDED_AGENTS, [['id'], ['taken']]),
    removeEndedAgent: remover(database, 'ended_agents', ['id']),
    putRun: inserter(database, 'runs', RUNS, [['timeline'], ['revision', 'givenUp']]),
    removeRun: remover(database, 'runs', ['timeline']),
    ...prepareHistoryWrites(database),
  };
}

function run<Word extends keyof WriteRows>(writes: Writes, { write, row }: RowWrite<Word>): void {
  writes[write](row);
}

/** The tables to values. */
export function readAll(database: DatabaseSync): Contents {
  const all = <C extends Columns>(columns: C, sql: string): RowOf<C>[] =>
    (database.prepare(sql).all() as Row[]).map(reader(columns));
  return {
    sequence: all({ sequence: INTEGER }, 'SELECT sequence FROM change_log')[0]?.sequence ?? 0,
    revision: all({ revision: INTEGER }, `SELECT ${NEWEST_REVISION} AS revision`)[0]?.revision ?? 0,
    needed: all({ userVersion: INTEGER }, 'PRAGMA user_version')[0]?.userVersion ?? 0,
    networks: all(
      { ...NETWORKS, meshRevision: INTEGER, mesh: TEXT, origins: TEXT },
      `SELECT networks.*, newest.revision AS mesh_revision, newest.mesh, newest.origins FROM networks
       LEFT JOIN revisions newest ON newest.network = name
         AND newest.revision = (SELECT MAX(revision) FROM revisions WHERE network = name) ORDER BY name`,
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
