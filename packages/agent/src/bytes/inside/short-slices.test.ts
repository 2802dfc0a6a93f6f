import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { nodeFfi } from '@weft/proto/house';
import { expect, test } from 'vitest';
import { askShortSlices } from './short-slices.ts';

/** Of the thread that reads; undefined where the kernel does not tell, or has none of its own for each. */
const slice = () => /^se\.slice\s*:\s*(\d+)/m.exec(readFileSync('/proc/thread-self/sched', 'utf8'))?.[1];

test.skipIf(process.platform !== 'linux' || nodeFfi() === undefined)(
  'a thread asks for short slices, and is as nice as it was',
  () => {
    const [before, nice] = [slice(), getPriority()];
    expect(askShortSlices()).toBe(true);
    expect([slice(), getPriority()]).toEqual([before && '100000', nice]);
  },
);
