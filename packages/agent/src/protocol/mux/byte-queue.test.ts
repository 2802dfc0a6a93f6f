import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteQueue } from './byte-queue.ts';

/** Bytes of memory that the pieces of a queue keep alive; empties it. */
function kept(queue: ByteQueue): number {
  const memories = new Set<ArrayBufferLike>();
  for (let piece = queue.shift(Infinity); piece !== undefined; piece = queue.shift(Infinity))
    memories.add(piece.buffer);
  return [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

describe('a byte queue', () => {
  it.each([
    ['small ones', [1]],
    ['small and large ones in turn', [1, 4_096]],
    ['small ones that just fill a block, and large ones', [1_024, 1, 4_096]],
    ['many sizes', [10, 3_000, 5_000, 700, 2]],
  ])('keeps no more than three times its bytes alive for %s', (_what, sizes) => {
    const queue = new ByteQueue();
    const record = Buffer.alloc(256 * 1024);
    for (let round = 0; queue.length < 256 * 1024; round++)
      queue.push(record.subarray(0, sizes[round % sizes.length]), true);
    const { length } = queue;
    expect(kept(queue)).toBeLessThanOrEqual(3 * length);
  });

  it('gives back the bytes it was given, however they are pushed and taken', () => {
    const step = fc.oneof(
      fc.record({ push: fc.nat(6_000), owned: fc.boolean() }),
      fc.record({ shift: fc.integer({ min: 1, max: 9_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new ByteQueue();
        let next = 0;
        let taken = 0;
        const take = (most: number): boolean => {
          const piece = queue.shift(most);
          for (const byte of piece ?? []) expect(byte).toBe(taken++ % 251);
          return piece !== undefined;
        };
        for (const each of steps) {
          if ('push' in each)
            queue.push(Buffer.from(Array.from({ length: each.push }, () => next++ % 251)), each.owned);
          else take(each.shift);
          expect(queue.length).toBe(next - taken);
        }
        while (take(Infinity));
        expect(taken).toBe(next);
      }),
      { numRuns: 60 },
    );
  });
});
