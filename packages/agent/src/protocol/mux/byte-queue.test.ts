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

  it.each<[string, number, number, boolean, boolean]>([
    ['that fills its memory', 8_192, 8_192, true, true],
    ['that fills half of it', 8_192, 16_384, true, true],
    ['that fills less', 8_191, 16_384, true, false],
    ['that is lent', 8_192, 8_192, false, false],
    ['that is just not small', 4_096, 4_096, true, true],
    ['that is small', 4_095, 4_095, true, false],
  ])('keeps or copies a piece %s', (_what, length, memory, owned, same) => {
    const queue = new ByteQueue();
    const piece = Buffer.allocUnsafeSlow(memory).subarray(0, length);
    queue.push(piece, owned);
    const kept = queue.shift(Infinity);
    expect(kept?.equals(piece)).toBe(true);
    expect(kept?.buffer === piece.buffer).toBe(same);
  });

  it.each([
    ['large and lent', 200_000, false],
    ['small and lent', 2_000, false],
    ['its to keep', 12_000, true],
  ])('keeps no memory of pieces that a slow reader has used, where they are %s', (_what, size, owned) => {
    const queue = new ByteQueue();
    const memories = new Set<ArrayBufferLike>();
    for (let pushed = 0; pushed < 24 * 2 ** 20; pushed += size) {
      queue.push(Buffer.alloc(size, 7), owned);
      while (queue.length > 4 * 2 ** 20) {
        const piece = queue.shift(50_000);
        expect([piece?.at(0), piece?.at(-1)]).toEqual([7, 7]);
        if (piece !== undefined) memories.add(piece.buffer);
        queue.free();
      }
    }
    // What came while the queue was short, and what a part waits of.
    const alive = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(alive).toBeLessThan(512 * 1024);
  });

  it('takes nothing away from who uses a part, and leaves nothing to free behind', () => {
    const queue = new ByteQueue();
    for (const size of [200_000, 1_000]) {
      const push = (): void => {
        queue.push(Buffer.alloc(10), false);
        queue.push(Buffer.alloc(size, 7), false);
        expect(queue.shift(10)?.length).toBe(10);
      };
      // Who drops it while a part is in use does not take that away.
      push();
      const used = queue.shift(100);
      queue.clear();
      expect(used?.every((byte) => byte === 7)).toBe(true);
      queue.free();
      expect(used?.length).toBe(0);
      // And of what was used nothing is left for who comes to free it.
      push();
      const part = queue.shift(100);
      queue.free();
      expect(part?.length).toBe(100);
      queue.clear();
      expect(part?.length).toBe(0);
    }
  });

  it('counts the pieces that it is in', () => {
    const queue = new ByteQueue();
    queue.push(Buffer.alloc(0), true);
    expect([queue.pieces, queue.length]).toEqual([0, 0]);
    for (const size of [10, 10, 5_000, 10]) queue.push(Buffer.alloc(size), true);
    // The second small one goes behind the first only where that left room: a lone piece is of its own size.
    expect([queue.pieces, queue.length]).toEqual([4, 5_030]);
    queue.push(Buffer.alloc(10), true);
    expect(queue.pieces).toBe(4);
    queue.shift(Infinity);
    expect(queue.pieces).toBe(3);
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
          queue.free();
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
