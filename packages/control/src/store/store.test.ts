import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RowWrite } from './rows.ts';
import { Store } from './store.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-store-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

const network = { name: 'prod', revision: 1, mesh: '{}', secret: Uint8Array.from([1, 2, 3]) };

const addNetwork: readonly RowWrite[] = [
  { write: 'addNetwork', row: network },
  {
    write: 'addRevision',
    row: { network: 'prod', revision: 1, appliedMs: 0, changes: '[]', mesh: network.mesh, origins: '' },
  },
];

const agent = {
  id: 'ag_1',
  network: 'prod',
  host: 'a',
  identityKey: Uint8Array.from([1]),
  tunnelKey: Uint8Array.from([2]),
  services: ['redis'],
  roles: ['gateway' as const],
  ephemeral: false,
  tokenId: 'tk_1',
  earlierTokenIds: ['tk_0'],
  rights: [{ tokenId: 'tk_0', sinceMs: 3, services: ['redis'], roles: ['gateway' as const] }],
  taken: [{ entry: 'web', sequence: 7 }],
  rightsRevision: 2,
  joinedMs: 5,
  version: '1.2',
};

test('what was committed is read back, and what was not is not', async () => {
  const store = Store.open(directory);
  const appended = await store.append(0, [
    ...addNetwork,
    { write: 'putAgent', row: agent },
    { write: 'addInstance', row: { network: 'prod', service: 'redis', ordinal: 0, agentId: 'ag_1' } },
    { write: 'putAddress', row: { network: 'prod', name: 'host/a', place: 1, releasedMs: undefined } },
    { write: 'putAddress', row: { network: 'prod', name: 'host/b', place: 2, releasedMs: 7 } },
  ]);
  expect(appended).toBe(true);
  // The second of them cannot be written.
  const half = store.append(1, [{ write: 'setRevision', row: { ...network, revision: 9 } }, ...addNetwork]);
  await expect(half).rejects.toMatchObject({ code: 'write-failed' });
  store.close();

  const again = Store.open(directory);
  const contents = await again.read();
  expect(contents).toMatchObject({ sequence: 1, networks: [network], agents: [agent], tokens: [], endedAgents: [] });
  expect(contents.addresses.map(({ name, place, releasedMs }) => [name, place, releasedMs])).toEqual([
    ['host/a', 1, undefined],
    ['host/b', 2, 7],
  ]);
  await again.append(1, [{ write: 'removeAgent', row: { id: 'ag_1' } }]);
  expect(await again.read()).toMatchObject({ agents: [], instances: [] });
  again.close();
});

test.each(['ABORT', 'ROLLBACK'])(
  'a write that the database ends with %s is told as one, and the next one works',
  async (end) => {
    const store = Store.open(directory);
    const other = new DatabaseSync(join(directory, 'control.db'));
    other.exec(`CREATE TRIGGER full BEFORE INSERT ON networks BEGIN SELECT RAISE(${end}, 'disk is full'); END`);
    await expect(store.append(0, addNetwork)).rejects.toMatchObject({
      code: 'write-failed',
      message: expect.stringContaining('disk is full'),
    });
    other.exec('DROP TRIGGER full');
    other.close();
    await store.append(0, addNetwork);
    expect((await store.read()).networks).toEqual([{ ...network, meshRevision: 1, origins: '' }]);
    store.close();
  },
);

test.each([
  ['agents', 'roles', '\'["king"]\''],
  ['agents', 'services', "'redis'"],
  ['networks', 'secret', "'abc'"],
  ['networks', 'revision', '1.5'],
  ['addresses', 'released_ms', "'soon'"],
])('a table edited by hand is told by its column: %s, %s', async (table, column, value) => {
  const store = Store.open(directory);
  const address = { network: 'prod', name: 'host/a', place: 1, releasedMs: undefined };
  await store.append(0, [...addNetwork, { write: 'putAgent', row: agent }, { write: 'putAddress', row: address }]);
  const other = new DatabaseSync(join(directory, 'control.db'));
  other.exec(`UPDATE ${table} SET ${column} = ${value}`);
  other.close();
  await expect(store.read()).rejects.toMatchObject({
    code: 'corrupt',
    message: expect.stringContaining(`column ${column} `),
  });
  store.close();
});

test('only the owner can read the files', async () => {
  const store = Store.open(directory);
  await store.append(0, addNetwork);
  for (const name of ['control.db', 'control.db-wal', 'control.db-shm']) {
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  }
  store.close();
});

test('a link to nothing in its place is named, and what to do', () => {
  symlinkSync(join(directory, 'nothing'), join(directory, 'control.db'));
  const expected = { name: 'StoreError', code: 'unreadable', message: expect.stringMatching(/control\.db: .*; check/) };
  expect(() => Store.open(directory)).toThrow(expect.objectContaining(expected));
});

test('a file that is no database, or a damaged one, is named', () => {
  writeFileSync(join(directory, 'control.db'), 'x'.repeat(8_192));
  expect(() => Store.open(directory)).toThrow(
    expect.objectContaining({ code: 'corrupt', message: expect.stringContaining('control.db') }),
  );
});

test('a damaged page is found when the database is opened', async () => {
  const store = Store.open(directory);
  const places = Array.from({ length: 499 }, (_, n): RowWrite => {
    const name = `service/${'x'.repeat(50)}${n + 1}`;
    return { write: 'putAddress', row: { network: 'prod', name, place: n + 1, releasedMs: undefined } };
  });
  await store.append(0, [...addNetwork, ...places]);
  store.close();
  const path = join(directory, 'control.db');
  const raw = new DatabaseSync(path);
  raw.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  raw.close();
  const { size } = statSync(path);
  writeFileSync(path, Buffer.alloc(size - 8_192, 0xff), { flag: 'r+', flush: true });
  expect(() => Store.open(directory)).toThrow(expect.objectContaining({ code: 'corrupt' }));
});

test('a newer schema and a database of another program are left alone', () => {
  Store.open(directory).close();
  const path = join(directory, 'control.db');
  const raw = new DatabaseSync(path);
  raw.exec('PRAGMA user_version = 99');
  raw.close();
  expect(() => Store.open(directory)).toThrow(expect.objectContaining({ code: 'too-new' }));

  rmSync(path);
  const other = new DatabaseSync(path);
  other.exec('CREATE TABLE shopping (item TEXT)');
  other.close();
  expect(() => Store.open(directory)).toThrow(expect.objectContaining({ code: 'not-weft' }));
});

test('a disk that takes neither the change nor its withdrawal is told as one that takes nothing', async () => {
  const told: (string | undefined)[] = [];
  const store = Store.open(directory, (_tookMs, failure) => told.push(failure));
  const refusing = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
    if (sql === 'BEGIN IMMEDIATE') this.prepare(sql).run();
    else throw Object.assign(new Error(`no ${sql}`), { code: 'ERR_SQLITE_ERROR' });
  });
  try {
    await expect(store.append(0, addNetwork)).rejects.toMatchObject({ name: 'StoreError', code: 'write-failed' });
    expect(told).toEqual(['no COMMIT']);
  } finally {
    refusing.mockRestore();
  }
  // The next one ends what is left of that.
  await expect(store.append(0, addNetwork)).rejects.toMatchObject({ code: 'write-failed' });
  expect(await store.append(0, addNetwork)).toBe(true);
  store.close();
});
