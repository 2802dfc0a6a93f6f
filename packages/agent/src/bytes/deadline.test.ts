import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadline } from './deadline.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a deadline', () => {
  it('ends by its time, tells each once, and says so', () => {
    const deadline = new Deadline(1_500);
    const told: string[] = [];
    deadline.onEnd(({ message }) => told.push(message));
    vi.advanceTimersByTime(500);
    expect(deadline.remaining).toBe(1_000);
    vi.advanceTimersByTime(1_000);
    deadline.end(new Error('too late'));
    expect({ told, over: deadline.over, late: deadline.late, left: deadline.remaining }).toEqual({
      told: ['no answer within 1500 ms'],
      over: true,
      late: true,
      left: 0,
    });
    expect(() => deadline.throwIfOver()).toThrow('no answer within 1500 ms');
  });

  it('ends by the first reason given, which those hear who ask after', () => {
    const deadline = new Deadline(1_000);
    const told: string[] = [];
    const off = () => told.push('off');
    deadline.onEnd(off);
    deadline.off(off);
    deadline.end(new Error('cut'));
    deadline.end(new Error('again'));
    deadline.onEnd(({ message }) => told.push(message));
    expect({ told, late: deadline.late, timers: vi.getTimerCount() }).toEqual({
      told: ['cut'],
      late: false,
      timers: 0,
    });
  });

  it('tells nobody once it is closed, and leaves no timer', () => {
    const deadline = new Deadline(1_000);
    const told = vi.fn();
    deadline.onEnd(told);
    deadline.close();
    vi.advanceTimersByTime(2_000);
    expect({ over: deadline.over, timers: vi.getTimerCount() }).toEqual({ over: false, timers: 0 });
    expect(told).not.toHaveBeenCalled();
  });

  it('has parts that end with it, or sooner, and leave it alone', () => {
    const deadline = new Deadline(1_000);
    const short = deadline.part(100);
    const long = deadline.part(9_000);
    vi.advanceTimersByTime(100);
    expect([short.late, deadline.over, long.over, long.remaining]).toEqual([true, false, false, 900]);
    const told = vi.fn();
    long.onEnd(told);
    deadline.end(new Error('cut'));
    expect(told).toHaveBeenCalledExactlyOnceWith(new Error('cut'));
    expect([long.late, vi.getTimerCount()]).toEqual([false, 0]);
  });

  it('is over at once as a part of what is over', () => {
    const deadline = new Deadline(1_000);
    deadline.end(new Error('cut'));
    const part = deadline.part(100);
    expect(() => part.throwIfOver()).toThrow('cut');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on while there is hope, to its most, and says how long it took', () => {
    const told: string[] = [];
    const of = (mostMs: number, hopeful: () => boolean) => {
      const deadline = new Deadline(1_000, mostMs);
      deadline.goesOnWhile(hopeful);
      deadline.onEnd(({ message }) => told.push(message));
      return deadline;
    };
    let heard = true;
    const [most, silent, plain] = [of(2_200, () => true), of(60_000, () => heard), of(1_000, () => true)];
    vi.advanceTimersByTime(1_000);
    expect([most.over, silent.over, plain.over, most.remaining]).toEqual([false, false, true, 500]);
    vi.advanceTimersByTime(1_200);
    heard = false;
    vi.advanceTimersByTime(300);
    expect(told).toEqual(['no answer within 1000 ms', 'no answer within 2200 ms', 'no answer within 2500 ms']);
    expect([silent.late, vi.getTimerCount()]).toEqual([true, 0]);
  });

  it('races work that goes on for others', async () => {
    const deadline = new Deadline(1_000);
    const work = Promise.withResolvers<number>();
    const racing = deadline.race(work.promise);
    deadline.end(new Error('cut'));
    await expect(racing).rejects.toThrow('cut');
    work.resolve(7);
    await expect(new Deadline(1).race(work.promise)).resolves.toBe(7);
    await expect(deadline.race(work.promise)).rejects.toThrow('cut');
    await expect(new Deadline(1).race(Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  });
});
