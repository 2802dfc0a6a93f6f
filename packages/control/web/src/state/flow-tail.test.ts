import { describe, expect, it } from 'vitest';
import { flow } from './flow.fixture.ts';
import { FlowTail, KEPT } from './flow-tail.ts';

function tail() {
  const frames: (() => void)[] = [];
  const flows = new FlowTail((work) => frames.push(work));
  const paint = (): void => {
    for (const work of frames.splice(0)) work();
  };
  const shown = (): number[] => flows.shown.value.map(({ cursor }) => cursor);
  return { flows, frames, paint, shown };
}

const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => flow(from + index));

describe('the tail of flows', () => {
  it('shows the newest first, once a frame however many events came', () => {
    const { flows, frames, paint, shown } = tail();
    for (let cursor = 1; cursor <= 3; cursor += 1) flows.add([flow(cursor)]);
    expect(shown()).toEqual([]);
    expect(frames).toHaveLength(1);
    paint();
    expect(shown()).toEqual([3, 2, 1]);
  });

  it('keeps the newest only', () => {
    const { flows, paint, shown } = tail();
    flows.add(many(1, KEPT + 5));
    paint();
    expect(shown()).toHaveLength(KEPT);
    expect(shown()[0]).toBe(KEPT + 5);
  });

  it('stands still while paused, and counts what came', () => {
    const { flows, paint, shown } = tail();
    flows.add(many(1, 2));
    paint();
    flows.pause();
    flows.add(many(3, 4));
    paint();
    expect(shown()).toEqual([2, 1]);
    expect(flows.waiting.value).toBe(4);
    flows.resume();
    expect(shown()).toEqual([6, 5, 4, 3, 2, 1]);
    expect(flows.waiting.value).toBe(0);
  });

  it('takes in older ones that are asked for, and none twice', () => {
    const { flows, paint, shown } = tail();
    flows.add([flow(7), flow(8)]);
    flows.add([flow(8), flow(5), flow(3)]);
    paint();
    expect(shown()).toEqual([8, 7, 5, 3]);
  });

  it('keeps a rare flow, however many others end', () => {
    const { flows, paint, shown } = tail();
    flows.filter({ verdict: 'deny' });
    flows.add([flow(1, { verdict: 'deny' }), ...many(2, KEPT * 2)]);
    paint();
    expect(shown()).toEqual([1]);
  });

  it('asks another filter of what it has, and goes on', () => {
    const { flows, paint, shown } = tail();
    flows.add([flow(1), flow(2, { service: 'web' })]);
    paint();
    flows.pause();
    flows.filter({ service: 'web' });
    expect(flows.paused.value).toBe(false);
    expect(shown()).toEqual([2]);
  });
});
