import fc from 'fast-check';
import { expect, test } from 'vitest';
import { filesFor, LEAST_FILES, mostListeners } from './file-limit.ts';

test('the limit that so many listeners want is the least that has them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200_000 }), (listeners) => {
      const limit = filesFor(listeners);
      expect(mostListeners(limit)).toBeGreaterThanOrEqual(listeners);
      if (limit > LEAST_FILES) expect(mostListeners(limit - 2)).toBeLessThan(listeners);
    }),
  );
});
