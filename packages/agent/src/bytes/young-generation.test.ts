import { describe, expect, it } from 'vitest';
import { copyOfLent } from '../words/passing-memory.ts';
import { youngCollector } from './inside/collector.ts';
import { YoungGeneration } from './young-generation.ts';

describe('the young generation', () => {
  it('is collected once for every few megabytes of buffers', () => {
    let collections = 0;
    const young = new YoungGeneration(() => {
      collections += 1;
    });
    for (let piece = 0; piece < 64; piece++) young.allocated(256 * 1024);
    expect(collections).toBe(4);
  });

  it('is not collected for bytes that left no buffer, which are told of likewise', () => {
    const told: string[] = [];
    const young = new YoungGeneration(
      () => told.push('collected'),
      () => told.push('moved'),
    );
    for (let piece = 0; piece < 32; piece++) young.passed(256 * 1024);
    expect(told).toEqual(['moved', 'moved']);
    for (let piece = 0; piece < 16; piece++) young.allocated(256 * 1024);
    expect(told).toEqual(['moved', 'moved', 'moved', 'collected']);
  });

  it('is collected for copies of such bytes that nobody frees', () => {
    let collections = 0;
    const young = new YoungGeneration(() => {
      collections += 1;
    });
    const lent = Buffer.alloc(256 * 1024);
    const seen = [false, true].map((copied) => {
      for (let piece = 0; piece < 64; piece++) {
        young.passed(lent.length);
        if (copied) copyOfLent(lent);
      }
      young.passed(0);
      return collections;
    });
    expect(seen).toEqual([0, 4]);
  });

  it('is left to V8 where it cannot be collected from here', () => {
    const young = new YoungGeneration(undefined);
    expect(() => young.allocated(2 ** 30)).not.toThrow();
  });

  it('gives back the memory of dead buffers', async () => {
    const collect = youngCollector();
    const before = process.memoryUsage().arrayBuffers;
    for (let made = 0; made < 64; made++) Buffer.allocUnsafeSlow(256 * 1024);
    expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(8 * 1024 * 1024);
    collect?.();
    // Freed beside this thread.
    await expect.poll(() => process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  });
});
