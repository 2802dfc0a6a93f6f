import { expect, test } from 'vitest';
import { type Heap, HeapKeeper } from './heap.ts';

const MIB = 1024 * 1024;

/** A heap whose garbage goes when it is collected, which takes a second. */
function pretend() {
  const state = { now: 0, live: 40 * MIB, garbage: 0, collections: 0 };
  const heap: Heap = {
    now: () => state.now,
    held: () => state.live + state.garbage,
    collect: () => {
      state.collections += 1;
      state.garbage = 0;
      state.now += 1_000;
    },
  };
  return { state, keeper: new HeapKeeper(heap) };
}

test('a heap that grew is collected, and one that did not is left alone', () => {
  const { state, keeper } = pretend();
  state.garbage = 40 * MIB;
  keeper.look();
  expect(state.collections).toBe(0);
  state.garbage = 50 * MIB;
  keeper.look();
  expect(state.collections).toBe(1);
});

test('what does not go away is no reason to try again, and a pause is followed by a rest', () => {
  const { state, keeper } = pretend();
  state.live += 60 * MIB;
  keeper.look();
  expect(state.collections).toBe(1);
  state.now += 200_000;
  keeper.look();
  expect(state.collections).toBe(1);
  state.garbage = 60 * MIB;
  keeper.look();
  expect(state.collections).toBe(2);
  state.garbage = 60 * MIB;
  state.now += 99_000;
  keeper.look();
  expect(state.collections).toBe(2);
  state.now += 1_000;
  keeper.look();
  expect(state.collections).toBe(3);
});
