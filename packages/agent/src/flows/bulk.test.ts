import { expect, test } from 'vitest';
import { BulkWatch } from './bulk.ts';

const MIB = 2 ** 20;

test('a flow is bulk from its pace on until it rests for some seconds, however often it is looked at', () => {
  const life = new AbortController();
  let now = 0;
  let moved = 0;
  const told: number[] = [];
  const registry = {
    moved: (least: number) => {
      const found = moved >= least ? 1 : 0;
      moved = 0;
      return found;
    },
  };
  const watch = new BulkWatch(
    registry,
    life.signal,
    () => told.push(watch.flows),
    () => now,
  );
  const after = (elapsed: number, bytes: number): number => {
    now += elapsed;
    moved += bytes;
    watch.look();
    return watch.flows;
  };
  // Of a small flow, and of one that has only begun.
  expect(after(1_000, 3 * MIB)).toBe(0);
  expect(after(50, 8 * MIB)).toBe(0);
  expect(after(150, 0)).toBe(1);
  expect(after(200, 0)).toBe(1);
  expect(after(2_700, 0)).toBe(1);
  expect(after(200, 0)).toBe(0);
  expect(after(1_000, 4 * MIB)).toBe(1);
  life.abort();
  expect(told).toEqual([1, 0, 1]);
});
