import { TARGET_PROBLEM } from '@weft/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProblemBoard } from '../observe/problems.ts';
import { RefusedDatagrams } from './wrong-target.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a refused datagram is told with the address of now, for ten seconds after the last', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const refused = new RefusedDatagrams(problems);
  const met = (port: number) =>
    refused.met({ service: 'statsd', port: 8125, protocol: 'udp', target: { host: '127.0.0.1', port } });
  const told = () => problems.current.map(({ code, subject, message }) => [code, subject, message.split(';')[0]]);
  const at = (port: number) => [
    [TARGET_PROBLEM, 'statsd:8125/udp', `statsd 8125/udp → 127.0.0.1:${port}: connection refused`],
  ];
  met(9125);
  vi.advanceTimersByTime(9_000);
  met(9125);
  vi.advanceTimersByTime(9_000);
  expect(told()).toEqual(at(9125));
  // The file was changed, and read again.
  met(9126);
  expect(told()).toEqual(at(9126));
  vi.advanceTimersByTime(9_000);
  expect(told()).toEqual(at(9126));
  vi.advanceTimersByTime(1_000);
  expect(told()).toEqual([]);
  met(9126);
  expect(told()).toEqual(at(9126));
});
