import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { flows, NEVER, TestStore } from './test-store.fixture.ts';

test('the oldest segments go when they are too old, and when all is too much', async () => {
  const disk = new TestStore({ segmentRecords: 10, maxAgeMs: 60_000 });
  disk.write('prod', flows(1, 20));
  disk.nowMs += 50_000;
  disk.write('prod', flows(21, 30));
  expect(disk.store.kept.records).toBe(30);
  disk.nowMs += 20_000;
  disk.store.retain();
  expect(disk.files).toEqual(['0003.db']);
  expect(await disk.starts()).toEqual(
    flows(21, 30)
      .map(({ startedMs }) => startedMs)
      .reverse(),
  );
  expect(disk.store.kept).toMatchObject({ records: 10, oldestMs: disk.nowMs - 20_000 });
  disk.store.close();

  const small = new TestStore({ maxBytes: 2_000_000 });
  for (let from = 1; from < 60_000; from += 1_000) small.write('prod', flows(from, from + 999));
  const { records, diskBytes } = small.store.kept;
  expect(diskBytes).toBeLessThan(2_000_000);
  expect(diskBytes).toBeGreaterThan(1_000_000);
  expect(records).toBeGreaterThan(5_000);
  const folder = join(small.directory, 'prod');
  const onDisk = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  // Its index of the log is not counted.
  expect(onDisk).toBeLessThan(diskBytes + 65_536);
  expect((await small.starts({ limit: 1 }))[0]).toBe(60_000);
  small.store.close();
});

test('whoever was somewhere is told whether all that came since is kept', async () => {
  const disk = new TestStore({ segmentRecords: 10, maxAgeMs: 60_000 });
  const complete = async (after: number, network = 'prod'): Promise<boolean> =>
    (await disk.store.query(network, { filter: {}, after, limit: 1 }, NEVER)).complete;
  expect(await complete(0)).toBe(true);
  disk.write('prod', flows(1, 15));
  disk.nowMs += 50_000;
  disk.write('prod', flows(16, 30));
  for (const after of [0, 1, 12, 30, 99]) expect([after, await complete(after)]).toEqual([after, true]);
  disk.nowMs += 20_000;
  disk.store.retain();
  const first = Math.min(...(await disk.found('prod')).flows.map(([cursor]) => cursor));
  expect(first).toBeGreaterThan(1);
  expect(await Promise.all([0, first - 1, first, 30].map((after) => complete(after)))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  disk.nowMs += 100_000;
  disk.store.retain();
  expect([await complete(0), await complete(30)]).toEqual([true, false]);
  expect((await disk.found('prod', { after: 5 })).flows).toEqual([]);
  disk.store.close();
});

test('files are for nobody else, and a start goes on where the last ended', async () => {
  const disk = new TestStore({ segmentRecords: 4 });
  disk.write('prod', flows(1, 6));
  expect(statSync(disk.directory).mode & 0o777).toBe(0o700);
  const folder = join(disk.directory, 'prod');
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  disk.store.close();
  const again = new TestStore({ segmentRecords: 4 }, disk.directory);
  expect(again.store.last).toBe(6);
  again.write('prod', flows(7, 9));
  expect(again.files).toEqual(['0001.db', '0002.db', '0003.db']);
  expect(await again.starts()).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
  again.store.close();
});

test('a network that is told of without end pushes out its own records only', async () => {
  const disk = new TestStore({ maxBytes: 2_000_000 });
  for (const quiet of ['quiet', 'small']) disk.write(quiet, flows(1, 500));
  for (let from = 1; from < 100_000; from += 2_000) disk.write('prod', flows(from, from + 1_999));
  expect(disk.store.kept.diskBytes).toBeLessThanOrEqual(2_000_000);
  expect(disk.files[0]).not.toBe('0001.db');
  for (const quiet of ['quiet', 'small']) expect((await disk.found(quiet)).flows).toHaveLength(500);
  // A second one takes from the first until they have the same, and the first does not vanish.
  for (let from = 1; from < 100_000; from += 2_000) disk.write('loud', flows(from, from + 1_999));
  for (const quiet of ['quiet', 'small']) expect((await disk.found(quiet)).flows).toHaveLength(500);
  expect(disk.bytesOf('prod')).toBeGreaterThan(500_000);
  disk.store.close();
  const again = new TestStore({}, disk.directory);
  expect(new Set(again.store.networks)).toEqual(new Set(['loud', 'prod', 'quiet', 'small']));
  // A folder goes with the last of its records.
  again.nowMs += 25 * 3_600_000;
  again.store.retain();
  expect(readdirSync(again.directory)).toEqual([]);
  again.store.close();
});

test('networks that nothing is told of are closed: few files are open, whatever their number', async () => {
  const disk = new TestStore();
  const networks = Array.from({ length: 50 }, (_, index) => `net-${index}`);
  const logs = (): number =>
    networks.filter((network) => existsSync(join(disk.directory, network, '0001.db-wal'))).length;
  for (const round of [1, 2]) for (const network of networks) disk.write(network, flows(round * 10, round * 10 + 4));
  expect(logs()).toBe(32);
  disk.nowMs += 61_000;
  disk.store.retain();
  expect(logs()).toBe(0);
  for (const network of networks) {
    expect((await disk.found(network)).flows).toHaveLength(10);
    disk.write(network, flows(40, 41));
    expect(disk.filesOf(network)).toEqual(['0001.db']);
  }
  expect(disk.store.kept.records).toBe(50 * 12);
  disk.store.close();
});

test('a clock that is set ahead for a while throws nothing away, and is told of', async () => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 20));
  const set = (hours: number): void => {
    disk.nowMs += hours * 3_600_000;
    disk.setAheadMs += hours * 3_600_000;
    disk.store.retain();
  };
  set(48);
  disk.nowMs += 60_000;
  disk.write('prod', flows(21, 22));
  expect(disk.store.kept.records).toBe(22);
  expect(disk.troubles).toMatchObject([
    {
      event: 'flows-clock-ahead',
      message: 'the clock went ahead by 48 h; 20 records would be too old, and go in an hour if it stays so',
    },
  ]);
  set(-48);
  disk.nowMs += 23 * 3_600_000;
  disk.store.retain();
  expect(disk.store.kept.records).toBe(22);
  // One that is as wrong as before is told of again, and believed when it stays.
  set(48);
  expect(disk.troubles).toHaveLength(2);
  disk.nowMs += 3_600_000;
  disk.store.retain();
  expect(await disk.starts()).toEqual([22, 21]);
  disk.store.close();
});

test('a start by a clock that is ahead throws nothing away either', async () => {
  const disk = new TestStore();
  disk.write('prod', flows(1, 20));
  disk.store.close();
  const again = new TestStore({}, disk.directory, disk.nowMs + 48 * 3_600_000);
  expect(again.store.kept.records).toBe(20);
  expect(again.troubles.map(({ event }) => event)).toEqual(['flows-clock-ahead']);
  again.nowMs += 3_600_000;
  again.store.retain();
  expect(again.store.kept.records).toBe(0);
  again.store.close();
});

test('nor does one that finds records of that very clock', async () => {
  const disk = new TestStore({ segmentRecords: 10 });
  disk.write('prod', flows(1, 20));
  disk.nowMs += 48 * 3_600_000;
  disk.setAheadMs += 48 * 3_600_000;
  disk.write('prod', flows(21, 21));
  disk.store.close();
  const again = new TestStore({ segmentRecords: 10 }, disk.directory, disk.nowMs);
  again.store.retain();
  expect(again.store.kept.records).toBe(21);
  again.store.close();
  // Set right, the time that was never is handed on by none of them.
  const right = new TestStore({ segmentRecords: 10 }, disk.directory, disk.nowMs - 48 * 3_600_000 + 120_000);
  right.store.retain();
  expect(right.store.kept.records).toBe(21);
  right.nowMs += 25 * 3_600_000;
  right.store.retain();
  // All but the one of a time that has not come.
  expect(right.store.kept.records).toBe(1);
  right.store.close();
});
