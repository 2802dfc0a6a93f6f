import { expect, test } from 'vitest';
import { TunnelTurns } from './tunnel-turns.ts';

function turns() {
  const left: string[] = [];
  let now = 0;
  const made = new TunnelTurns({
    times: { settle: 6_000, back: 30_000, calm: 60_000 },
    leaveFirst: () => left.push(`first ${now / 1_000}`),
    leaveSecond: () => left.push(`second ${now / 1_000}`),
  });
  made.begin(now);
  return {
    left,
    to: (seconds: number, beside: (now: number) => boolean) => {
      for (const end = seconds * 1_000; now < end; ) {
        now += 500;
        made.look(beside(now), now);
      }
    },
  };
}

test('the first leaves at once, with what greeted meanwhile a moment later, and the second when bulk has been over for a while', () => {
  const { left, to } = turns();
  to(100, () => true);
  expect(left).toEqual(['first 0', 'first 6']);
  to(129.5, () => false);
  expect(left).toHaveLength(2);
  to(400, () => false);
  expect(left).toEqual(['first 0', 'first 6', 'second 130.5']);
  to(401, () => true);
  expect(left.at(-1)).toBe('first 400.5');
});

test.each([1, 4, 20, 35])('each leaves once a minute at most, whose bulk comes and goes each %i s', (seconds) => {
  const { left, to } = turns();
  to(3_600, (now) => (now / 1_000) % (2 * seconds) < seconds);
  for (const thread of ['first', 'second']) {
    const times = left.filter((each) => each.startsWith(thread)).map((each) => Number(each.split(' ')[1]));
    // What the first leaves a moment later is of the same time.
    const begun = times.filter((time) => !times.some((other) => other < time && time - other < 10));
    for (const [at, time] of begun.entries()) expect(time - (begun[at - 1] ?? -60)).toBeGreaterThanOrEqual(60);
    expect(times.length).toBeLessThanOrEqual(2 * begun.length);
  }
});
