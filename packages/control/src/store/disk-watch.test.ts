import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskWatch } from './disk-watch.ts';
import { Store } from './store.ts';

let root: string;
let directory: string;
let clock: number;
let watch: DiskWatch;
let tryData: () => void;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weft-disk-'));
  directory = join(root, 'data');
  mkdirSync(join(directory, 'flows'), { recursive: true });
  clock = 1_000_000;
  tryData = () => watch.note('data', undefined);
  watch = new DiskWatch({ directory, logger: pino({ level: 'silent' }), now: () => clock, tryData: () => tryData() });
});

afterEach(() => {
  watch.close();
  rmSync(root, { recursive: true });
});

const codes = () => watch.problems.map(({ code }) => code);

test('a failed write stands as a problem, since the first, until one works', () => {
  watch.note('data', undefined);
  expect(watch.problems).toEqual([]);
  watch.note('data', 'disk is full');
  clock += 5_000;
  watch.note('data', 'disk is full');
  watch.note('flows', 'no space');
  expect(watch.problems).toMatchObject([
    { code: 'data-not-written', sinceMs: 1_000_000, message: expect.stringContaining(`${directory}: disk is full`) },
    { code: 'flows-not-written', sinceMs: 1_005_000 },
  ]);
  watch.note('data', undefined);
  expect(codes()).toEqual(['flows-not-written']);
});

test('it goes though nobody writes, once there is room, and stands while writes go on failing', () => {
  watch.note('data', 'disk is full');
  watch.note('flows', 'no space');
  clock += 9_999;
  watch.look();
  expect(codes()).toHaveLength(2);
  watch.note('flows', 'no space');
  clock += 1;
  watch.look();
  expect(codes()).toEqual(['flows-not-written']);
  // No directory takes nothing, as a full one.
  renameSync(join(directory, 'flows'), join(directory, 'away'));
  clock += 60_000;
  watch.look();
  expect(codes()).toEqual(['flows-not-written']);
  renameSync(join(directory, 'away'), join(directory, 'flows'));
  watch.look();
  expect(codes()).toEqual([]);
  expect([readdirSync(directory), readdirSync(join(directory, 'flows'))]).toEqual([['flows'], []]);
});

test('room is not enough for the data: it stands until the database itself takes a write', async () => {
  const store = Store.open(directory, (_tookMs, failure) => watch.note('data', failure));
  tryData = () => store.tryWrite();
  const other = new DatabaseSync(join(directory, 'control.db'));
  other.exec('BEGIN IMMEDIATE');
  watch.note('data', 'database is locked');
  for (let look = 0; look < 3; look++) {
    clock += 60_000;
    watch.look();
    expect(codes()).toEqual(['data-not-written']);
  }
  other.exec('ROLLBACK');
  other.close();
  clock += 60_000;
  watch.look();
  expect(codes()).toEqual([]);
  store.close();
});

test('the store tells of each write, and why one failed', async () => {
  const told: (string | undefined)[] = [];
  const store = Store.open(directory, (_tookMs, failure) => told.push(failure));
  const row = {
    atMs: 1,
    actor: 'admin',
    action: 'apply',
    network: '',
    subject: '',
    revision: 0,
    detail: '',
    refused: false,
  };
  await store.record({ ...row });
  const other = new DatabaseSync(join(directory, 'control.db'));
  other.exec(`CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk is full'); END`);
  await expect(store.record({ ...row })).rejects.toMatchObject({ code: 'write-failed' });
  other.exec('DROP TRIGGER full');
  other.close();
  await store.record({ ...row });
  expect(told).toEqual([undefined, expect.stringContaining('disk is full'), undefined]);
  store.close();
});
