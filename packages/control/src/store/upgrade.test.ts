import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VERSION } from '@weft/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openState } from '../state/state.ts';
import { SCHEMA } from './schema.ts';
import { newestOf, type Schema, type Step } from './schema-steps.ts';
import { Store } from './store.ts';
import { refuseOthers, upgrade } from './upgrade.ts';

/** As the first version that is stepped forward left it: schema 9, with a network, an agent, and one that was revoked. */
const FIRST = join(import.meta.dirname, '../../../../test/fixtures/stored/control.db');
const ADDS: Step = { adds: true, sql: 'ALTER TABLE agents ADD COLUMN rank INTEGER NOT NULL DEFAULT 4' };
const CHANGES: Step = { adds: false, sql: 'ALTER TABLE agents RENAME COLUMN version TO software' };
const KNOWN = newestOf(SCHEMA);
const NEXT = KNOWN + 1;
/** This version's, with steps of a later one. */
const schema = (...steps: Step[]): Schema => ({ ...SCHEMA, steps: [...SCHEMA.steps, ...steps] });

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-upgrade-'));
  path = join(directory, 'control.db');
  copyFileSync(FIRST, path);
});

afterEach(() => rmSync(directory, { recursive: true }));

function open(known: Schema): void {
  refuseOthers(path, known);
  const database = new DatabaseSync(path);
  try {
    upgrade(database, path, known);
  } finally {
    database.close();
  }
}

function ask(sql: string, file = path): unknown {
  const database = new DatabaseSync(file);
  try {
    return database.prepare(sql).get();
  } finally {
    database.close();
  }
}

test('the database of the version before is opened with all that is in it', async () => {
  const store = Store.open(directory);
  const state = await openState({ store, now: () => 1_000 });
  const prod = state.current.networks.get('prod');
  expect([prod?.revision, [...(prod?.agents.values() ?? [])].map(({ host }) => host)]).toEqual([5, ['data-1']]);
  expect(prod?.mesh.services.map(({ name }) => name)).toEqual(['web', 'redis', 'mailer']);
  expect(prod?.mesh.policies).toMatchObject([{ name: 'no-mail', action: 'deny' }]);
  expect(prod?.origins.size).toBe(0);
  const contents = await store.read();
  expect([contents.tokens.length, contents.runs.length, contents.addresses.length]).toEqual([2, 1, 6]);
  expect(contents.endedAgents).toMatchObject([{ host: 'old-1', revoked: true }]);
  expect((await store.audit({ network: '', limit: 10 })).map(({ action }) => action)).toContain('agent-revoke');
  store.close();
});

test('a new database has the columns of one that was stepped forward', () => {
  open(SCHEMA);
  const fresh = join(directory, 'fresh');
  mkdirSync(fresh);
  Store.open(fresh).close();
  const columns = (file: string) => {
    const database = new DatabaseSync(file, { readOnly: true });
    const rows = database
      .prepare(
        "SELECT m.name || '.' || c.name || ' ' || c.type || c.pk AS text FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.name <> 'written' ORDER BY 1",
      )
      .all();
    database.close();
    return rows;
  };
  expect(columns(join(fresh, 'control.db'))).toEqual(columns(path));
});

test('steps are made once, in order, and a version that knows them not works on with what only adds', () => {
  open(schema(ADDS));
  expect(ask('SELECT host, rank FROM agents')).toEqual({ host: 'data-1', rank: 4 });
  expect(readdirSync(directory)).toEqual(['control.db']);
  open(schema());
  open(schema(ADDS, CHANGES));
  expect(ask('SELECT software, rank FROM agents')).toEqual({ software: '0.1.0', rank: 4 });
  open(schema(ADDS, CHANGES));
  expect(ask('SELECT * FROM written')).toEqual({ schema: KNOWN + 2, version: VERSION });
});

test('a newer database is refused by name, with the way back, and stays as it is to the byte', () => {
  open(schema(CHANGES));
  const before = readFileSync(path);
  const refused = {
    code: 'too-new',
    message: expect.stringContaining(`weft-control ${VERSION} (schema ${NEXT}; this one knows ${KNOWN})`),
  };
  expect(() => Store.open(directory)).toThrow(expect.objectContaining(refused));
  expect(() => Store.open(directory)).toThrow(`put ${path}.before-${NEXT} in its place`);
  expect([readFileSync(path).equals(before), readdirSync(directory)]).toEqual([
    true,
    ['control.db', `control.db.before-${NEXT}`],
  ]);
  // The way back.
  expect(statSync(`${path}.before-${NEXT}`).mode & 0o777).toBe(0o600);
  copyFileSync(`${path}.before-${NEXT}`, path);
  Store.open(directory).close();
  expect(ask('SELECT host, version FROM agents')).toEqual({ host: 'data-1', version: '0.1.0' });
});

test('a newer database that was killed is refused with its log as it is', () => {
  const newer = new DatabaseSync(path);
  upgrade(newer, path, schema(CHANGES));
  // As it lies there when control is killed: all of the step is in the log.
  const copy = mkdtempSync(join(directory, 'killed-'));
  for (const name of ['control.db', 'control.db-wal']) copyFileSync(join(directory, name), join(copy, name));
  newer.close();
  const contents = () => ['control.db', 'control.db-wal'].map((name) => readFileSync(join(copy, name)).toString('hex'));
  const before = contents();
  expect(() => Store.open(copy)).toThrow(expect.objectContaining({ code: 'too-new' }));
  expect(contents()).toEqual(before);
});

test('one that is too old is refused, as it is', () => {
  const older = new DatabaseSync(path);
  older.exec('PRAGMA user_version = 8');
  older.close();
  const before = readFileSync(path);
  expect(() => Store.open(directory)).toThrow(expect.objectContaining({ code: 'too-old' }));
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a step that fails, or in which control is killed, is not made at all, and is made at the next start', () => {
  expect(() => open(schema(CHANGES, { adds: false, sql: 'INSERT INTO nowhere VALUES (1)' }))).toThrow(/no such table/);
  expect(ask('PRAGMA user_version')).toEqual({ user_version: 9 });
  const killed = spawnSync(process.execPath, [join(import.meta.dirname, 'upgrade-dying.fixture.ts'), path]);
  expect(killed.signal).toBe('SIGKILL');
  Store.open(directory).close();
  expect(ask('SELECT host, version FROM agents')).toEqual({ host: 'data-1', version: '0.1.0' });
  open(schema(CHANGES));
  expect(ask('SELECT software FROM agents')).toEqual({ software: '0.1.0' });
});
