import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { APPLICATION_ID, MIGRATIONS } from '../store/schema.ts';
import { Store } from '../store/store.ts';
import { openState } from './state.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-migration-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A database of the first schema, as that version of control left it. */
function firstSchema(): void {
  const database = new DatabaseSync(join(directory, 'control.db'));
  database.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1; PRAGMA application_id = ${APPLICATION_ID}`);
  const mesh = (network: string, names: string[]): string =>
    JSON.stringify({
      network,
      services: names.map((name) => ({
        name,
        kind: 'private',
        ports: [{ protocol: 'tcp', first: 6379, last: 6379 }],
        tags: [],
      })),
      defaultAction: 'allow',
      policies: [],
      agents: [],
      tests: [],
    });
  const network = database.prepare('INSERT INTO networks (name, revision, mesh, secret) VALUES (?, ?, ?, ?)');
  network.run('prod', 7, mesh('prod', ['redis']), new Uint8Array(32));
  network.run('stage', 9, mesh('stage', []), new Uint8Array(32));
  database.exec(`
    INSERT INTO addresses VALUES ('prod', 'service/redis', 1, NULL), ('prod', 'host/a', 2, NULL);
    INSERT INTO tokens VALUES ('tk_1', 'prod', x'01', '["redis"]', '', 0, 1, 0, 5, 10, 1, 0);
    INSERT INTO agents VALUES ('ag_1', 'prod', 'a', x'02', x'03', '["redis"]', 0, 0, 'tk_1', 6, '0.1.0');
  `);
  database.close();
}

test('a database of the first schema keeps what it has, and its mesh is the first of the revisions', async () => {
  firstSchema();
  const store = Store.open(directory);
  const state = await openState({ store, now: () => 1_000 });
  const prod = state.current.networks.get('prod');
  expect(prod?.revision).toBe(7);
  expect([...(prod?.agents.keys() ?? [])]).toEqual(['ag_1']);
  expect(state.tokens('prod').map(({ id }) => id)).toEqual(['tk_1']);
  expect(await state.revisions('prod', 10)).toEqual([{ revision: 7, appliedMs: 0, changes: [] }]);
  expect(await state.meshAt('prod', 7)).toEqual({ revision: 7, mesh: prod?.mesh });
  expect((await state.meshAt('prod', 9)).mesh).toEqual(prod?.mesh);
  await expect(state.meshAt('prod', 6)).rejects.toThrow(/not kept; those from revision 7 on are/);
  expect(await state.revisions('stage', 10)).toEqual([{ revision: 9, appliedMs: 0, changes: [] }]);
  expect(await store.audit({ network: '', limit: 10 })).toEqual([]);
  store.close();

  const again = Store.open(directory);
  expect(await again.revisions('prod', 10)).toHaveLength(1);
  again.close();
});

test('a migration that cannot be done to its end is not done at all', () => {
  firstSchema();
  const raw = new DatabaseSync(join(directory, 'control.db'));
  raw.exec('CREATE TABLE audit (in_the_way TEXT)');
  raw.close();
  expect(() => Store.open(directory)).toThrow(expect.objectContaining({ code: 'unreadable' }));
  const after = new DatabaseSync(join(directory, 'control.db'));
  expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
  expect(after.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'revisions'").get()).toEqual({ n: 0 });
  after.close();
});
