import { expect, test } from 'vitest';
import { busyShare } from './busy-share.ts';

const ticks = new Int32Array(new SharedArrayBuffer(4));

test('a thread that is held up works for nothing of the time, and one that computes for all of it', () => {
  const share = busyShare();
  share();
  Atomics.wait(ticks, 0, 0, 400);
  if (process.threadCpuUsage !== undefined) expect(share()).toBeLessThan(0.05);
  else share();
  const { user, system } = process.cpuUsage();
  for (let used = 0; used < 200_000; ) {
    const now = process.cpuUsage();
    used = now.user + now.system - user - system;
  }
  expect(share()).toBeGreaterThan(0.05);
});
