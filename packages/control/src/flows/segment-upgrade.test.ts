import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { flows, TestStore } from './test-store.fixture.ts';

/** Three records, as the first version that is stepped forward left them. */
const FIRST = join(import.meta.dirname, '../../../../test/fixtures/stored/segment.db');

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-segment-'));
  mkdirSync(join(directory, 'prod'));
  path = join(directory, 'prod', '0001.db');
  copyFileSync(FIRST, path);
});

afterEach(() => rmSync(directory, { recursive: true }));

function change(sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

test('a segment of the version before is read, and written on', async () => {
  const disk = new TestStore({}, directory);
  disk.write('prod', flows(4, 5));
  const { flows: found } = await disk.found('prod');
  expect(found.map(([cursor]) => cursor)).toEqual([5, 4, 3, 2, 1]);
  expect(found[2]?.[1]).toMatchObject({
    source: 'mailer',
    outcome: 'denied',
    zone: 'eu-1a',
    detail: 'client 10.0.0.1',
  });
  expect([disk.files, disk.troubles]).toEqual([['0001.db'], []]);
  disk.store.close();
});

test('what a segment has no column for has nothing in it', async () => {
  change('ALTER TABLE shapes DROP COLUMN zone');
  const disk = new TestStore({}, directory);
  expect((await disk.found('prod')).flows.map(([, { zone, source }]) => [zone, source])).toEqual([
    ['', 'mailer'],
    ['', 'web'],
    ['', 'web'],
  ]);
  disk.store.close();
});

test('a segment to whose tables a newer version has added is written on', async () => {
  change(`ALTER TABLE flows ADD COLUMN tries INTEGER NOT NULL DEFAULT 0; ALTER TABLE groups ADD COLUMN zone TEXT;
    ALTER TABLE minutes ADD COLUMN tries INTEGER NOT NULL DEFAULT 0; ALTER TABLE details ADD COLUMN language TEXT;
    ALTER TABLE shapes ADD COLUMN region TEXT NOT NULL DEFAULT ''`);
  const disk = new TestStore({}, directory);
  disk.write('prod', flows(4, 5));
  expect((await disk.found('prod')).flows.map(([cursor]) => cursor)).toEqual([5, 4, 3, 2, 1]);
  expect([disk.files, disk.troubles]).toEqual([['0001.db'], []]);
  disk.store.close();
});

test('a transport that a newer version kept is told as `other`', async () => {
  change(`UPDATE shapes SET protocol = 'sctp' WHERE outcome = 'denied'`);
  const disk = new TestStore({}, directory);
  const { flows: found } = await disk.found('prod');
  expect(found.map(([, { source, protocol }]) => `${source} ${protocol}`)).toContain('mailer other');
  disk.store.close();
});

test('an outcome that a newer version kept is told as `other`, and the segment is written on', async () => {
  change(`UPDATE shapes SET outcome = 'evaporated' WHERE outcome = 'denied'`);
  const disk = new TestStore({}, directory);
  disk.write('prod', flows(4, 5));
  const { flows: found } = await disk.found('prod');
  expect(found.map(([, { source, outcome }]) => `${source} ${outcome}`)).toContain('mailer other');
  expect([found.length, disk.troubles]).toEqual([5, []]);
  disk.store.close();
});

test('a newer segment is told of and left as it is, until its day is over; what comes goes beside it', async () => {
  change(
    `PRAGMA user_version = 3; CREATE TABLE written (schema INTEGER, version TEXT); INSERT INTO written VALUES (3, '0.9.0')`,
  );
  const before = readFileSync(path);
  const disk = new TestStore({}, directory);
  const message = expect.stringMatching(/a newer weft-control 0\.9\.0 wrote it \(schema 3; this one knows 2\)/);
  expect(disk.troubles).toMatchObject([{ event: 'flows-segment-newer', path, message }]);
  disk.write('prod', flows(4, 5));
  const { flows: found } = await disk.found('prod');
  expect(found).toHaveLength(2);
  // The newer version has given the cursors up to there.
  expect(Math.min(...found.map(([cursor]) => cursor))).toBeGreaterThan(1_000_000);
  expect([disk.files, readFileSync(path).equals(before)]).toEqual([['0001.db', '0002.db'], true]);
  expect(disk.store.kept.diskBytes).toBeGreaterThan(before.length);
  disk.store.close();

  // The newer version again.
  change('PRAGMA user_version = 2');
  const again = new TestStore({}, directory);
  expect(await again.starts()).toEqual([5, 4, 3, 2, 1]);
  again.store.close();
  change('PRAGMA user_version = 3');
  utimesSync(path, 1, 1);
  const late = new TestStore({}, directory, disk.nowMs + 1);
  expect(late.files).toEqual(['0002.db']);
  late.store.close();
});
