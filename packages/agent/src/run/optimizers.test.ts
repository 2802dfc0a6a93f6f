import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { holdOptimizers } from './optimizers.ts';

let release = () => {};
afterEach(() => {
  release();
  setFlagsFromString('--no-allow-natives-syntax');
});

test('code is not optimized until it is let go, and then is', async () => {
  setFlagsFromString('--allow-natives-syntax');
  // V8's own word on which compiler a function runs by now; the bits of its status are others from version to version.
  const run = runInNewContext(`
    function hot(count) { let sum = 0; for (let at = 0; at < count; at++) sum = (sum + at * 3) | 0; return sum; }
    const optimized = () => %ActiveTierIsMaglev(hot) || %ActiveTierIsTurbofan(hot);
    () => { for (let turn = 0; turn < 300; turn++) hot(20000); return optimized(); }
  `) as () => boolean;
  release = holdOptimizers();
  // Compiled beside the thread that runs it, and put in place at a later call.
  for (let call = 0; call < 20; call++) {
    expect(run()).toBe(false);
    await setImmediate();
  }
  release();
  await expect.poll(run).toBe(true);
});
