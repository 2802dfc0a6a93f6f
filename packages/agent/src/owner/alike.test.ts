import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { clockMs, KnownAlike } from './alike.ts';

test('others are alike until one more has begun or come in, the moment is over, or the holder is another or taken for something else', () => {
  const proc = mkdtempSync('/tmp/weft-alike-');
  const known = new KnownAlike(proc);
  onTestFinished(() => {
    known.close();
    rmSync(proc, { recursive: true });
  });
  const last = (pid: number) => writeFileSync(`${proc}/loadavg`, `0.00 0.01 0.05 1/123 ${pid}\n`);
  const learn = (forMs = 1_000_000) =>
    known.learn({
      ...holder,
      key: 'web',
      circle: { last: 99, members: '7,8', strangers: [] },
      untilMs: clockMs() + forMs,
      rules: 1,
    });
  const holder = { pid: 7, began: 5 };
  const web = (members: string | undefined = '7,8') => known.holds(holder, '1', 'web', () => members);
  last(99);
  expect(web()).toBe(false);
  learn();
  expect(web()).toBe(true);
  expect(known.holds({ ...holder, pid: 8 }, '1', 'web', () => '7,8')).toBe(false);
  for (const not of [
    () => last(100),
    () => known.clear(),
    () => learn(-1),
    () => expect(web('7,8,9')).toBe(false),
    () => expect(known.holds(holder, '1', 'web', () => undefined)).toBe(false),
    () => expect(known.holds(holder, '1', 'web,other', () => '7,8')).toBe(false),
    () => expect(known.holds({ ...holder, began: 6 }, '1', 'web', () => '7,8')).toBe(false),
  ]) {
    last(99);
    learn();
    expect(web()).toBe(true);
    not();
    expect(web()).toBe(false);
  }
});
