import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { followAdvertised } from './endpoints.ts';

test.each([
  ['127.0.0.1:22', '203.0.113.7', 1],
  ['127.80.0.2:22', '127.0.0.1', 1],
  ['169.254.3.4:1', '203.0.113.7', 1],
  ['10.0.0.1:7410', '203.0.113.7', 0],
  ['127.0.0.1:7410', '127.0.0.1', 0],
  ['127.0.0.1:7410', '', 0],
  ['a.example:1', '203.0.113.7', 0],
  // It listens where it listens, and asks nobody to come.
  [undefined, '203.0.113.7', 0],
])('of %s, which is advertised and seen by control from %s, so many problems stand: %i', (advertise, seen, count) => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  followAdvertised(problems, advertise, seen);
  const message = expect.stringMatching(/no agent of another host can dial .*--advertise HOST:PORT/);
  const expected = { code: 'endpoint-refused', subject: advertise, message };
  expect(problems.current).toEqual(Array<unknown>(count).fill(expected));
  followAdvertised(problems, advertise, '');
  expect(problems.current).toHaveLength(count);
  if (advertise !== undefined) followAdvertised(problems, advertise, advertise.split(':')[0] ?? '');
  expect(problems.current.length).toBe(advertise?.startsWith('127.80.') === true ? 1 : 0);
});
