import { expect, test } from 'vitest';
import { paceOf } from './ping.ts';

const LINES = `
[  5]   0.00-0.50   sec   130 MBytes  2184 Mbits/sec    0   1.31 MBytes
[  5]   0.50-1.00   sec   120 MBytes  2014.5 Mbits/sec    0   1.31 MBytes
[  5]   1.00-1.50   sec  1.20 MBytes  20.1 Mbits/sec    0   1.31 MBytes
`;

test("a stream's pace is the median of what was said of its half seconds", () => {
  expect(paceOf(LINES)).toBe(2_014.5);
});

test('a stream that said nothing has no pace, and not a pace of zero', () => {
  expect(() => paceOf('connecting')).toThrow('no pace in "connecting"');
});
