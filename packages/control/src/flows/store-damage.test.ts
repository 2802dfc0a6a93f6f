import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { flow } from './flow.fixture.ts';
import { FlowPacker } from './packing.ts';
import { flows, TestStore } from './test-store.fixture.ts';

test.each<[string, (path: string) => void]>([
  ['cut', (path) => truncateSync(path, 5_000)],
  ['written over', (path) => writeFileSync(path, 'x'.repeat(8_192))],
  ['emptied', (path) => truncateSync(path, 0)],
])('a segment that is %s is set aside and told of; the rest goes on', async (_how, damage) => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 30));
  disk.store.close();
  damage(join(disk.directory, 'prod', '0002.db'));
  const again = new TestStore({ segmentRecords: 10 }, disk.directory);
  expect(await again.starts()).toEqual([...flows(1, 10), ...flows(21, 30)].map(({ startedMs }) => startedMs).reverse());
  expect(again.files).toEqual(['0001.db', '0002.db.damaged', '0003.db']);
  expect(again.troubles).toMatchObject([{ event: 'flows-segment-damaged' }]);
  again.store.close();
});

test('a segment whose log was cut is told of with what is lost, once, and the rest is kept', async () => {
  const disk = new TestStore();
  for (let from = 1; from <= 21; from += 3) disk.write('prod', flows(from, from + 2));
  // As it lies there when control is killed.
  const copy = `${disk.directory}-killed`;
  cpSync(disk.directory, copy, { recursive: true });
  disk.store.close();
  const log = join(copy, 'prod', '0001.db-wal');
  truncateSync(log, Math.floor(statSync(log).size / 2));
  const again = new TestStore({}, copy);
  const { records } = again.store.kept;
  expect(records).toBeGreaterThan(0);
  expect(records).toBeLessThan(21);
  const message = `it holds ${records} of the 21 records that were written to it; the others are lost`;
  expect(again.troubles).toMatchObject([{ event: 'flows-segment-short', message }]);
  again.write('prod', flows(22, 23));
  again.store.close();
  const last = new TestStore({}, copy);
  expect([last.troubles, last.store.kept.records]).toEqual([[], records + 2]);
  last.store.close();
});

test('a segment that is gone is told of once, with what was in it; the rest goes on', async () => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 30));
  disk.store.close();
  rmSync(join(disk.directory, 'prod', '0002.db'));
  const again = new TestStore({ segmentRecords: 10 }, disk.directory);
  const lost = { network: 'prod', records: 10 };
  const message = 'the file is gone, and with it the 10 records that were written to it';
  expect(again.troubles).toMatchObject([{ event: 'flows-segment-gone', message, lost }]);
  expect(await again.starts()).toHaveLength(20);
  again.store.close();
  // Also the newest, whose number is not given again.
  rmSync(join(disk.directory, 'prod', '0003.db'));
  const third = new TestStore({ segmentRecords: 10 }, disk.directory);
  expect(third.troubles).toMatchObject([{ event: 'flows-segment-gone', lost }]);
  third.write('prod', flows(31, 31));
  expect(third.files).toEqual(['0001.db', '0004.db']);
  third.store.close();
});

test('what stands in the place of a note keeps nothing from starting', async () => {
  const disk = new TestStore({});
  disk.write('prod', flows(1, 3));
  disk.store.close();
  mkdirSync(join(disk.directory, 'prod', '0002.db-records'));
  const again = new TestStore({}, disk.directory);
  expect(again.troubles).toMatchObject([{ event: 'flows-segment-unreadable' }]);
  expect(await again.starts()).toHaveLength(3);
  again.store.close();
});

test('a segment that is gone under way is told of, and the question answered from the rest', async () => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 30));
  disk.store.close();
  const again = new TestStore({ segmentRecords: 10 }, disk.directory);
  rmSync(join(disk.directory, 'prod', '0002.db'));
  expect(await again.starts()).toHaveLength(20);
  const lost = { network: 'prod', records: 10 };
  expect(again.troubles).toMatchObject([{ message: expect.stringContaining('the file is gone'), lost }]);
  again.store.close();
});

test('a note that is a pipe is not waited for, to read or to write', () => {
  const disk = new TestStore();
  disk.write('prod', flows(1, 1));
  const note = join(disk.directory, 'prod', '0001.db-records');
  rmSync(note);
  execFileSync('mkfifo', [note]);
  expect(disk.write('prod', flows(2, 2))).toEqual(new Map());
  disk.store.close();
  const again = new TestStore({}, disk.directory);
  expect([again.troubles, again.store.kept.records]).toEqual([[], 2]);
  again.store.close();
});

test('a segment that cannot be opened now stays for the next start, and the rest goes on', async () => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 30));
  disk.store.close();
  const path = join(disk.directory, 'prod', '0002.db');
  renameSync(path, `${path}.kept`);
  mkdirSync(path);
  const again = new TestStore({ segmentRecords: 10 }, disk.directory);
  expect(again.troubles).toMatchObject([{ event: 'flows-segment-unreadable', path }]);
  expect(await again.starts()).toHaveLength(20);
  expect(again.files).toContain('0002.db');
  again.store.close();
  rmdirSync(path);
  renameSync(`${path}.kept`, path);
  const last = new TestStore({ segmentRecords: 10 }, disk.directory);
  expect(await last.starts()).toHaveLength(30);
  last.store.close();
});

test('a segment that is damaged under way is set aside; the question is answered from the rest', async () => {
  const disk = new TestStore({ segmentRecords: 2_000 });
  disk.write('prod', flows(1, 6_000));
  const path = join(disk.directory, 'prod', '0002.db');
  const { size } = statSync(path);
  disk.store.close();
  const again = new TestStore({ segmentRecords: 2_000 }, disk.directory);
  // It was sound when it was opened.
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0xaa, size / 2));
  const found = await again.found('prod', { limit: 10_000 });
  expect(found.flows).toHaveLength(4_000);
  expect(again.files).toContain('0002.db.damaged');
  again.store.close();
});

test('what the disk does not take is counted by network, told, and does not end the thread', async () => {
  const disk = new TestStore({ segmentRecords: 2 });
  disk.write('prod', flows(1, 2));
  // The places of the next segments are taken.
  mkdirSync(join(disk.directory, 'dev'));
  for (const taken of ['prod/0002.db', 'dev/0001.db']) writeFileSync(join(disk.directory, taken), '');
  const packer = new FlowPacker();
  for (const [index, network] of ['prod', 'dev', 'dev', 'other', '../elsewhere'].entries()) {
    packer.add(network, flow(index + 3), { cursor: index + 3, atMs: disk.nowMs, replaces: false });
  }
  const lost = disk.store.write(packer.pack());
  expect(lost).toEqual(
    new Map([
      ['prod', 1],
      ['dev', 2],
      ['../elsewhere', 1],
    ]),
  );
  expect(disk.troubles.map(({ event }) => event)).toEqual(Array(3).fill('flows-not-written'));
  // The trouble of one network is not another's.
  expect((await disk.found('other')).flows).toHaveLength(1);
  expect(existsSync(join(disk.directory, '..', 'elsewhere'))).toBe(false);
  disk.cursor = 7;
  expect(disk.write('prod', flows(8, 8))).toEqual(new Map());
  expect(await disk.starts()).toEqual([8, 2, 1]);
  disk.store.close();
});
