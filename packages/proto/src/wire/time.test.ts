import fc from 'fast-check';
import { expect, test } from 'vitest';
import { durationFromWire, durationToWire, timestampFromWire, timestampToWire } from './time.ts';

test('a time is whole milliseconds since the Unix epoch, and one that is not set is 0', () => {
  expect(timestampToWire(1_700_000_000_123)).toEqual({ seconds: 1_700_000_000, nanos: 123_000_000 });
  expect(timestampToWire(0)).toBe(null);
  expect([timestampFromWire(null, 't'), timestampFromWire(undefined, 't'), timestampFromWire({}, 't')]).toEqual([
    0, 0, 0,
  ]);
  const any = fc.maxSafeNat().map((ms) => ms % 253_402_300_799_999);
  fc.assert(
    fc.property(any, (ms) => {
      expect(timestampFromWire(timestampToWire(ms), 't')).toBe(ms);
    }),
  );
});

test('a length of time keeps its microseconds and its sign, and is told from none', () => {
  expect(durationToWire(-12)).toEqual({ seconds: 0, nanos: -12_000_000 });
  expect(durationToWire(-1_500)).toEqual({ seconds: -1, nanos: -500_000_000 });
  expect(durationToWire(0)).toEqual({ seconds: 0, nanos: 0 });
  expect([durationFromWire({}, 'd'), durationFromWire(null, 'd')]).toEqual([0, undefined]);
  const micros = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
  fc.assert(
    fc.property(micros, (us) => {
      const back = durationFromWire(durationToWire(us / 1_000), 'd') ?? Number.NaN;
      expect(Math.round(back * 1_000) + 0).toBe(us);
    }),
  );
});

test('what a wrong clock tells is sent as the nearest that there is', () => {
  expect(timestampToWire(Number.MAX_SAFE_INTEGER)).toEqual({ seconds: 253_402_300_799, nanos: 999_000_000 });
  expect(timestampToWire(-5)).toBe(null);
  expect(durationToWire(Number.MAX_SAFE_INTEGER)).toEqual({ seconds: 315_576_000_000, nanos: 0 });
  expect(durationToWire(-Number.MAX_SAFE_INTEGER)).toEqual({ seconds: -315_576_000_000, nanos: 0 });
});

test.each([
  ['a time before the epoch', () => timestampFromWire({ seconds: -1 }, 't')],
  ['a time after the year 9999', () => timestampFromWire({ seconds: 253_402_300_800 }, 't')],
  ['more nanoseconds than a second has', () => timestampFromWire({ nanos: 1e9 }, 't')],
  ['nanoseconds before their second', () => timestampFromWire({ seconds: 5, nanos: -1 }, 't')],
  ['a length in two directions', () => durationFromWire({ seconds: 1, nanos: -1 }, 'd')],
  ['a length beyond all times', () => durationFromWire({ seconds: 2 ** 53 }, 'd')],
])('%s is refused', (_what, read) => {
  expect(read).toThrow(expect.objectContaining({ name: 'WireError', code: 'wire-range' }));
});
