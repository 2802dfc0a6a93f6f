import { describe, expect, it } from 'vitest';
import { HeldPairs } from './held-pairs.ts';

function pair(held: HeldPairs, idleMs: number) {
  const ends: string[] = [];
  const self = {
    usedMs: performance.now() - idleMs,
    close: (detail = '') => {
      ends.push(detail);
      held.remove('internet', self);
    },
  };
  held.add('internet', self);
  return ends;
}

describe('held pairs', () => {
  it('beyond their bound, the longest idle makes room', () => {
    const held = new HeldPairs(2);
    const idle = pair(held, 9_000);
    expect(held.makeRoom()).toBe(true);
    const idler = pair(held, 10_000);
    expect(held.makeRoom()).toBe(true);
    expect([idle, idler, held.size]).toEqual([[], ['idle, and made room for another'], 1]);
  });

  it('make none where all are in use', () => {
    const held = new HeldPairs(1);
    const used = pair(held, 0);
    expect([held.makeRoom(), used]).toEqual([false, []]);
  });

  it('close all', () => {
    const held = new HeldPairs(2);
    const ends = [pair(held, 0), pair(held, 0)];
    held.closeAll('gone');
    expect([ends, held.size]).toEqual([[['gone'], ['gone']], 0]);
  });
});
