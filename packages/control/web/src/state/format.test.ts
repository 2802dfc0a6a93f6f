import { expect, it } from 'vitest';
import { age, ago, byteRate, bytes, counted, duration, fieldTime, printable, rate, skew } from './format.ts';

const table: readonly (readonly [string, string])[] = [
  [age(0), '0 s'],
  [age(12 * 60_000 + 20_000), '12 min'],
  [printable('a\u001b[2J\u202eb'), 'a\ufffd[2J\ufffdb'],
  [fieldTime(new Date(2026, 10, 22, 13, 59, 11, 750).getTime()), '2026-11-22T13:59:11'],
  [fieldTime(new Date(2026, 10, 22, 13, 59).getTime()), '2026-11-22T13:59'],
  [bytes(0), '0 B'],
  [bytes(999), '999 B'],
  [bytes(1_000), '1 kB'],
  [bytes(1_550), '1.6 kB'],
  [bytes(999_999), '1 MB'],
  [bytes(250_000_000), '250 MB'],
  [byteRate(12_345), '12.3 kB/s'],
  [rate(0), '0/s'],
  [rate(0.01), '<0.1/s'],
  [rate(0.44), '0.4/s'],
  [rate(1_950), '1,950/s'],
  [counted(1, 'agent'), '1 agent'],
  [counted(2_000, 'agent'), '2,000 agents'],
  [counted(2, 'entry', 'entries'), '2 entries'],
  [duration(0), '0 ms'],
  [duration(0.42), '0.4 ms'],
  [duration(12), '12 ms'],
  [duration(1_500), '1.5 s'],
  [duration(60_000), '1 min'],
  [duration(200_000), '3 min 20 s'],
  [duration(7_500_000), '2 h 5 min'],
  [duration(3_600_000 * 99), '4 d 3 h'],
  [ago(300), 'just now'],
  [ago(-40), 'just now'],
  [ago(59_900), '59 s ago'],
  [ago(119_000), '1 min ago'],
  [ago(7_500_000), '2 h ago'],
  [ago(3_600_000 * 99), '4 d ago'],
  [skew(0.2), '0 ms'],
  [skew(2_340), '+2.3 s'],
  [skew(-80), '−80 ms'],
];

it.each(table)('%s is %s', (told, expected) => {
  expect(told).toBe(expected);
});
