import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Allotment, type AllotmentSink, TOMBSTONE_MS } from './allotment.ts';

interface Row {
  readonly offset: number;
  readonly releasedMs: number | undefined;
}

/** The table, as the store would hold it. */
class Table implements AllotmentSink {
  readonly rows = new Map<string, Row>();

  put(name: string, offset: number, releasedMs: number | undefined): void {
    this.rows.set(name, { offset, releasedMs });
  }

  remove(name: string): void {
    this.rows.delete(name);
  }

  reopen(size: number): Allotment {
    const rows = [...this.rows].map(([name, { offset, releasedMs }]) => ({ name, place: offset, releasedMs }));
    return new Allotment(
      rows.sort((one, other) => (one.releasedMs ?? 0) - (other.releasedMs ?? 0)),
      size,
    );
  }
}

test('lowest free first, never 0, and an end', () => {
  const table = new Table();
  const allotment = new Allotment([], 4);
  expect(['a', 'b', 'c', 'b'].map((name) => allotment.acquire(name, 0, table))).toEqual([1, 2, 3, 2]);
  expect(() => allotment.acquire('d', 0, table)).toThrow(expect.objectContaining({ code: 'limit' }));
  allotment.release('b', 0, table);
  expect(() => allotment.acquire('d', TOMBSTONE_MS - 1, table)).toThrow(/no address is left/);
  expect(allotment.acquire('d', TOMBSTONE_MS, table)).toBe(2);
});

const step = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  action: fc.constantFrom('acquire', 'release', 'reopen'),
  waitMs: fc.constantFrom(0, 1_000, TOMBSTONE_MS / 2, TOMBSTONE_MS),
});

test('whatever happens: no address twice, none given to another within the hour, and the table says it all', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new Table();
      let allotment = new Allotment([], 100);
      let now = 0;
      const lastHolder = new Map<number, { name: string; untilMs: number }>();
      for (const { name, action, waitMs } of steps) {
        now += waitMs;
        if (action === 'reopen') allotment = table.reopen(100);
        else if (action === 'release') {
          const offset = allotment.offset(name);
          allotment.release(name, now, table);
          if (offset !== undefined) lastHolder.set(offset, { name, untilMs: now + TOMBSTONE_MS });
        } else {
          const offset = allotment.acquire(name, now, table);
          const last = lastHolder.get(offset);
          expect(last === undefined || last.name === name || now >= last.untilMs).toBe(true);
          lastHolder.set(offset, { name, untilMs: Number.POSITIVE_INFINITY });
        }
        const offsets = [...table.rows.values()].map(({ offset }) => offset);
        expect(new Set(offsets).size).toBe(offsets.length);
        for (const [held, { offset, releasedMs }] of table.rows) {
          expect(allotment.offset(held)).toBe(releasedMs === undefined ? offset : undefined);
        }
      }
    }),
    { numRuns: 200 },
  );
});

const HOUR = TOMBSTONE_MS;

test('an hour is counted from the first release, and a name comes back to none that another has since', () => {
  const table = new Table();
  const allotment = new Allotment([], 100);
  for (const name of ['a', 'b']) allotment.acquire(name, 0, table);
  allotment.release('a', 0, table);
  allotment.release('a', HOUR / 2, table);
  expect(allotment.acquire('c', HOUR, table)).toBe(1);
  expect(allotment.acquire('a', HOUR, table)).toBe(3);
});

test.each(['as it runs', 'after a restart'])('one that stays or comes back does not keep the others’, %s', (when) => {
  const table = new Table();
  let allotment = new Allotment([], 100);
  for (const name of ['stays', 'back', 'gone', 'later']) allotment.acquire(name, 0, table);
  for (const name of ['back', 'gone']) allotment.release(name, 1, table);
  allotment.release('later', 2, table);
  expect(allotment.acquire('back', 3, table)).toBe(2);
  if (when === 'after a restart') allotment = table.reopen(100);
  // One after the other, so that what went first does not stand in the way of the next.
  expect(allotment.acquire('new', HOUR + 1, table)).toBe(3);
  expect(allotment.acquire('newer', HOUR + 2, table)).toBe(4);
  expect(new Set(table.rows.keys())).toEqual(new Set(['back', 'new', 'newer', 'stays']));
});

test('a name that has its address is not written again', () => {
  const table = new Table();
  const allotment = new Allotment([], 100);
  allotment.acquire('a', 0, table);
  table.rows.clear();
  expect(allotment.acquire('a', 1, table)).toBe(1);
  expect(table.rows.size).toBe(0);
});
