import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplayWindow, WINDOW_SIZE } from './opener.ts';

/** Offers counters in turn and tells which were taken. */
function offer(window: ReplayWindow, counters: readonly number[]): boolean[] {
  return counters.map((counter) => {
    const fresh = window.isFresh(counter);
    if (fresh) window.accept(counter);
    return fresh;
  });
}

const FAR = 2 ** 40;

describe('the replay window', () => {
  test.each([
    ['first, then again', [0, 0], [true, false]],
    ['in order', [0, 1, 2], [true, true, true]],
    ['out of order, each once', [5, 3, 4, 3, 5], [true, true, true, false, false]],
    ['the oldest still taken', [2048, 1, 1], [true, true, false]],
    ['one older than the oldest', [2048, 0], [true, false]],
    ['the edge moves by one', [2048, 2049, 1, 2], [true, true, false, true]],
    ['a jump forgets what was before', [7, 7 + 4096, 7, 7 + 2048, 8 + 2048], [true, true, false, false, true]],
    ['a jump of exactly the ring', [7, 7 + 2080, 7 + 2079, 39, 40], [true, true, true, false, true]],
    ['a jump within one word', [32, 34, 33, 33], [true, true, true, false]],
    ['past 2^32', [FAR, FAR - 1, FAR - 2047, FAR - 2048, FAR - 1, FAR], [true, true, true, false, false, false]],
    ['from 0 to far', [0, FAR, 0, FAR + 1], [true, true, false, true]],
  ])('%s', (_name, counters, taken) => {
    expect(offer(new ReplayWindow(), counters)).toEqual(taken);
  });

  test('asking changes nothing: a forged counter moves no edge', () => {
    const window = new ReplayWindow();
    offer(window, [10]);
    expect(window.isFresh(FAR)).toBe(true);
    expect(offer(window, [9, 11])).toEqual([true, true]);
  });

  test('agrees with a set of all counters seen', () => {
    const steps = fc.array(fc.oneof(fc.integer({ min: -2100, max: 40 }), fc.integer({ min: 0, max: 5000 })), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(steps, fc.constantFrom(0, FAR), (moves, start) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = start;
        for (const move of moves) {
          const counter = Math.max(0, highest + move);
          const fresh = !seen.has(counter) && (seen.size === 0 || counter > highest - WINDOW_SIZE);
          expect(offer(window, [counter])).toEqual([fresh]);
          if (fresh) highest = seen.size === 0 ? counter : Math.max(highest, counter);
          if (fresh) seen.add(counter);
        }
      }),
      { numRuns: 150 },
    );
  });
});
