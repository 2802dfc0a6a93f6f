import { expect, test } from 'vitest';
import { parsePgbench } from './pgbench.ts';

const REPORT = `
transaction type: <builtin: select only>
number of clients: 8
duration: 1 s
number of transactions actually processed: 12345
number of failed transactions: 0 (0.000%)
latency average = 0.647 ms
initial connection time = 12.345 ms
tps = 12360.123456 (without initial connection time)
`;

test("pgbench's figures are found by their names", () => {
  expect(parsePgbench(REPORT)).toEqual({ perSecond: 12360.123456, count: 12345, latency: 0.647 });
});

test('a report without figures, or of transactions that failed, is an error', () => {
  expect(() => parsePgbench('')).toThrow('pgbench');
  expect(() => parsePgbench(REPORT.replace('failed transactions: 0', 'failed transactions: 3'))).toThrow('pgbench');
});
