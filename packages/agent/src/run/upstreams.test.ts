import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createCounters } from '../dns/types.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { watchUpstreams } from './upstreams.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

it('is a problem while names outside are not answered', () => {
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const life = new AbortController();
  let why: string | undefined;
  let what: string | undefined;
  const dns = {
    unanswered: () => why,
    crowded: () => what,
    address: { host: '', port: 0 },
    counters: createCounters(),
    close: () => Promise.resolve(),
  };
  watchUpstreams(dns, problems, life.signal);
  const after = (next: string | undefined) => {
    why = next;
    vi.advanceTimersByTime(2_000);
    return problems.current;
  };
  expect(after('none of 10.0.0.2 answers')).toMatchObject([
    { code: 'no-upstream', subject: 'dns', message: expect.stringContaining('none of 10.0.0.2 answers') },
  ]);
  what = 'more than 256 wait';
  expect(after(undefined)).toMatchObject([
    { code: 'too-many-questions', subject: 'dns', message: expect.stringMatching(/^more than 256 wait; /) },
  ]);
  what = undefined;
  expect(after(undefined)).toEqual([]);
  life.abort();
  expect(vi.getTimerCount()).toBe(0);
});
