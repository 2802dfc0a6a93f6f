import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { type FlowRecord, passesFilter } from '@weft/proto';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { anyFilter, anyFlow, flow } from './flow.fixture.ts';
import { createFlowWindow } from './memory-window.fixture.ts';
import { flows, NEVER, TestStore } from './test-store.fixture.ts';

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
