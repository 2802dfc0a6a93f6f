import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { type FlowRecord, passesFilter } from '@weft/proto';
import fc from 'fast-check';
import { afterAll, expect, test, vi } from 'vitest';
import { anyFilter, anyFlow, flow } from './flow.fixture.ts';
import { FLOW_LIMITS, type FlowLimits } from './limits.ts';
import { createFlowWindow } from './memory-window.fixture.ts';
import { FlowPacker, unpack } from './packing.ts';
import { FlowStore, type StoreTrouble } from './store.ts';
import type { FlowQuery } from './types.ts';

const NEVER = new AbortController().signal;
const root = mkdtempSync(join(tmpdir(), 'weft-flows-'));
afterAll(() => rmSync(root, { recursive: true }));
let made = 0;

/** A store with a clock that tests set. */
class TestStore {
  readonly directory: string;
  readonly troubles: StoreTrouble[] = [];
  nowMs = 3_600_000_000;
  cursor: number;
  readonly store: FlowStore;

  constructor(limits: Partial<FlowLimits> = {}, directory = join(root, String(++made))) {
    this.directory = directory;
    this.store = new FlowStore({
      directory,
      limits: { ...FLOW_LIMITS, ...limits },
      now: () => this.nowMs,
      trouble: (trouble) => this.troubles.push(trouble),
    });
    this.cursor = this.store.last;
  }

  write(network: string, records: readonly FlowRecord[]): Map<string, number> {
    const packer = new FlowPacker();
    for (const record of records) {
      packer.add(network, record, { cursor: ++this.cursor, atMs: this.nowMs, replaces: false });
    }
    return this.store.write(packer.pack());
  }

  replace(network: string, cursor: number, record: FlowRecord): void {
    const packer = new FlowPacker();
    packer.add(network, record, { cursor, atMs: this.nowMs, replaces: true });
    this.store.write(packer.pack());
  }

  async found(
    network: string,
    query: Partial<FlowQuery> = {},
  ): Promise<{ flows: [number, FlowRecord][]; older: boolean }> {
    const { packed, older } = await this.store.query(network, { filter: {}, limit: 1_000, ...query }, NEVER);
    return { flows: [...unpack(packed)].map(({ cursor, record }) => [cursor, record]), older };
  }

  async starts(query: Partial<FlowQuery> = {}): Promise<number[]> {
    return (await this.found('prod', query)).flows.map(([, { startedMs }]) => startedMs);
  }

  get files(): string[] {
    return this.filesOf('prod');
  }

  filesOf(network: string): string[] {
    const folder = join(this.directory, network);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((name) => !/-(wal|shm|journal)$/.test(name))
      .sort();
  }

  bytesOf(network: string): number {
    const folder = join(this.directory, network);
    return this.filesOf(network).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }
}

const flows = (from: number, to: number): FlowRecord[] =>
  Array.from({ length: to - from + 1 }, (_, index) => flow(from + index));

interface Step {
  readonly network: string;
  readonly records: readonly FlowRecord[];
  readonly laterMs: number;
  readonly replaces: number | undefined;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    network: fc.constantFrom('prod', 'prod', 'dev'),
    records: fc.array(anyFlow, { minLength: 1, maxLength: 12 }),
    laterMs: fc.constantFrom(0, 1, 40_000, 200_000),
    replaces: fc.option(fc.nat(30), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('answers what a look at each record answers: any filter, time, page and count, over many small segments', async () => {
  const query = fc.record({
    filter: anyFilter,
    fromMs: fc.option(fc.nat(1_000_000), { nil: undefined }),
    toMs: fc.option(fc.nat(1_000_000), { nil: undefined }),
    before: fc.option(fc.nat(80), { nil: undefined }),
    limit: fc.constantFrom(1, 3, 1_000),
  });
  await fc.assert(
    fc.asyncProperty(steps, fc.array(query, { minLength: 1, maxLength: 6 }), async (written, queries) => {
      const disk = new TestStore({ segmentRecords: 7, segmentShapes: 5, segmentMs: 150_000 });
      const start = disk.nowMs;
      const all: { network: string; cursor: number; atMs: number; record: FlowRecord }[] = [];
      for (const { network, records, laterMs, replaces } of written) {
        disk.nowMs += laterMs;
        for (const record of records) all.push({ network, cursor: all.length + 1, atMs: disk.nowMs, record });
        expect(disk.write(network, records)).toEqual(new Map());
        const told = replaces === undefined ? undefined : all[replaces];
        const [record] = records;
        if (told === undefined || record === undefined || told.network !== network) continue;
        told.record = record;
        disk.replace(network, told.cursor, record);
      }
      const { store } = disk;
      expect(store.kept.records).toBe(all.length);
      for (const asked of queries) {
        const fromMs = start + (asked.fromMs ?? -1);
        const toMs = asked.toMs === undefined ? Infinity : start + asked.toMs;
        const { filter, before = Infinity, limit } = asked;
        const expected = all
          .filter(({ network, cursor, atMs }) => network === 'prod' && cursor < before && atMs >= fromMs && atMs < toMs)
          .filter(({ record }) => passesFilter(filter, record))
          .reverse();
        const found = await disk.found('prod', { filter, fromMs, toMs, before, limit });
        expect(found.flows).toEqual(expected.slice(0, limit).map(({ cursor, record }) => [cursor, record]));
        expect(found.older).toBe(expected.length > limit);
      }
      await compareHistory(disk, all);
      store.close();
      rmSync(disk.directory, { recursive: true });
    }),
    { numRuns: 30 },
  );
}, 120_000);

async function compareHistory(
  disk: TestStore,
  all: readonly { network: string; atMs: number; record: FlowRecord }[],
): Promise<void> {
  let now = 0;
  const memory = createFlowWindow(1, () => now);
  all.forEach(({ network, atMs, record }, index) => {
    now = atMs;
    // Each a flow of its own: who replaces whom was settled above.
    memory.add(network, 'z', [{ ...record, id: String(index).padStart(16, '0') }], 0);
  });
  now = disk.nowMs;
  for (const asked of [
    { buckets: 1_000 },
    { buckets: 2, source: 'web' },
    { buckets: 1_000, service: 'redis', verdict: 'deny' as const },
    { buckets: 10, source: 'Kafka', service: 'web', verdict: 'allow' as const },
    { buckets: 1_000, fromMs: disk.nowMs - 300_000, toMs: disk.nowMs - 60_000 },
  ]) {
    const found = await disk.store.history('prod', asked, NEVER);
    const expected = await memory.history('prod', asked, NEVER);
    expect(found.bucketMs).toBe(expected.bucketMs);
    const counts = ({ buckets }: typeof found) =>
      buckets.map(({ startMs, allowed, denied, failed }) => ({ startMs, allowed, denied, failed }));
    expect(counts(found)).toEqual(counts(expected));
    found.buckets.forEach(({ bytesSent, bytesReceived }, index) => {
      // Sums beyond 2^53 may differ in their last digits by the order of adding.
      expect(bytesSent / ((expected.buckets[index]?.bytesSent ?? 0) || 1)).toBeCloseTo(bytesSent === 0 ? 0 : 1, 6);
      expect(bytesReceived / ((expected.buckets[index]?.bytesReceived ?? 0) || 1)).toBeCloseTo(
        bytesReceived === 0 ? 0 : 1,
        6,
      );
    });
  }
}

test('walks and indexes find the same in a segment that is larger than a walk', async () => {
  const disk = new TestStore();
  const total = 9_000;
  const sorts = (number: number): Partial<FlowRecord> => ({
    rule: number < 5 ? 'rare' : 'default',
    service: number % 2 === 0 ? 'redis' : 'web',
    detail: number % 1_000 === 0 ? `client ${number}` : '',
  });
  for (let from = 0; from < total; from += 3_000) {
    disk.write(
      'prod',
      Array.from({ length: 3_000 }, (_, index) => flow(from + index, sorts(from + index))),
    );
    // As a start of control leaves it.
    disk.cursor += 1_000_000;
  }
  expect(await disk.starts({ filter: { rule: 'rare' } })).toEqual([4, 3, 2, 1, 0]);
  expect(await disk.starts({ filter: { service: 'web' }, limit: 3 })).toEqual([8_999, 8_997, 8_995]);
  expect(await disk.starts({ filter: { text: 'CLIENT' } })).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => n * 1_000));
  expect(await disk.starts({ filter: { id: flow(4_321).id } })).toEqual([4_321]);
  expect(await disk.starts({ filter: { service: 'redis' }, limit: 4_500 })).toHaveLength(4_500);
  disk.store.close();
});

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

test('a segment that was begun before records had a field is read with nothing in it, and written on', async () => {
  const disk = new TestStore();
  disk.write('prod', flows(1, 3));
  disk.store.close();
  const database = new DatabaseSync(join(disk.directory, 'prod', '0001.db'));
  // A digest is of all that a shape has: one of fewer fields is no other's.
  database.exec("UPDATE shapes SET digest = 'of fewer fields'");
  database.exec('ALTER TABLE shapes DROP COLUMN instance; ALTER TABLE shapes DROP COLUMN port');
  database.close();
  const again = new TestStore({}, disk.directory);
  again.write('prod', [flow(4)]);
  const { flows: found } = await again.found('prod');
  expect(found.map(([, record]) => record)).toEqual([
    flow(4),
    ...[3, 2, 1].map((number) => flow(number, { instance: '', port: 0 })),
  ]);
  expect(await again.starts({ filter: { port: 6379 } })).toEqual([4]);
  expect(again.files).toEqual(['0001.db']);
  expect(again.troubles).toEqual([]);
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

test('a question that is given up ends at the next segment', async () => {
  const disk = new TestStore({ segmentRecords: 2 });
  disk.write('prod', flows(1, 20));
  const abort = new AbortController();
  const asked = disk.store.query('prod', { filter: { rule: 'none' }, limit: 1 }, abort.signal);
  abort.abort(new Error('given up'));
  await expect(asked).rejects.toThrow('given up');
  disk.store.close();
});

test('a clock that is set back keeps times in order within a segment', async () => {
  const disk = new TestStore();
  disk.write('prod', flows(1, 2));
  disk.nowMs -= 10_000;
  disk.write('prod', flows(3, 4));
  expect(await disk.starts({ fromMs: disk.nowMs + 10_000 })).toEqual([4, 3, 2, 1]);
  disk.nowMs -= 3_600_000;
  disk.write('prod', flows(5, 6));
  expect(await disk.starts({ toMs: disk.nowMs + 1 })).toEqual([6, 5]);
  expect(await disk.starts()).toEqual([6, 5, 4, 3, 2, 1]);
  disk.store.close();
});

test('a network that is told of without end pushes out its own records only', async () => {
  const disk = new TestStore({ maxBytes: 4_000_000 });
  for (const quiet of ['quiet', 'small']) disk.write(quiet, flows(1, 500));
  for (let from = 1; from < 200_000; from += 2_000) disk.write('prod', flows(from, from + 1_999));
  expect(disk.store.kept.diskBytes).toBeLessThanOrEqual(4_000_000);
  expect(disk.files[0]).not.toBe('0001.db');
  for (const quiet of ['quiet', 'small']) expect((await disk.found(quiet)).flows).toHaveLength(500);
  // A second one takes from the first until they have the same, and the first does not vanish.
  for (let from = 1; from < 200_000; from += 2_000) disk.write('loud', flows(from, from + 1_999));
  for (const quiet of ['quiet', 'small']) expect((await disk.found(quiet)).flows).toHaveLength(500);
  expect(disk.bytesOf('prod')).toBeGreaterThan(1_000_000);
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

test('records that all bear one identifier are not all read', async () => {
  const disk = new TestStore();
  disk.write(
    'prod',
    flows(1, 3_000).map((record) => ({ ...record, id: 'ffffffffffffffff' })),
  );
  const all = vi.spyOn(StatementSync.prototype, 'all');
  const { flows: found, older } = await disk.found('prod', { filter: { id: 'ffffffffffffffff' }, limit: 3 });
  expect([found.length, older]).toEqual([3, true]);
  expect(Math.max(0, ...all.mock.results.map(({ value }) => (value as unknown[]).length))).toBeLessThan(10);
  all.mockRestore();
  disk.store.close();
});

test('sums of bytes stay what can be told', async () => {
  const disk = new TestStore();
  const huge = Array.from({ length: 100 }, (_, index) => flow(index, { bytesSent: 2 ** 48, bytesReceived: 5 }));
  disk.write('prod', huge);
  const { buckets } = await disk.store.history('prod', { buckets: 1 }, NEVER);
  expect(buckets).toMatchObject([{ allowed: 100, bytesSent: Number.MAX_SAFE_INTEGER, bytesReceived: 500 }]);
  disk.store.close();
});
