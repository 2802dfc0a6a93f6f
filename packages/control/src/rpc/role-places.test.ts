import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Actor } from '../audit/types.ts';
import { type AdminBench, redis, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

const actor = (role: Actor['role']): Actor => ({ address: '127.0.0.1', role });

/** What came of so many calls with the read token at once, and of one with the admin token behind them. */
async function crowd(most: number, call: (actor: Actor, signal: AbortSignal) => Promise<unknown>) {
  const stop = new AbortController();
  const all = Array.from({ length: most + 1 }, () => call(actor('read'), stop.signal));
  const admin = call(actor('admin'), stop.signal);
  const refused = Promise.race(all.map((one) => one.then(() => new Promise<never>(() => {}))));
  await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(`${most} `) });
  stop.abort(new Error('stopped'));
  const results = await Promise.allSettled([...all, admin]);
  return results.map((result) => (result.status === 'fulfilled' ? 'answered' : String(result.reason.message)));
}

test.each(['listFlows', 'countFlows'] as const)(
  'questions of the read token leave places to the admin token: %s',
  async (name) => {
    const told = await crowd(48, async (who, signal) =>
      bench.calls[name]({ request: ask[name] as never, actor: who, authority: '', signal }),
    );
    expect(told.filter((one) => one === 'answered')).toHaveLength(49);
    expect(told.at(-1)).toBe('answered');
  },
);

const ask = {
  listFlows: { network: 'prod', filter: null, pageSize: 1, pageToken: '' },
  countFlows: { network: 'prod', filter: null, buckets: 0 },
};

test('watches of the read token do, too', async () => {
  const request = { network: 'prod', filter: null, past: 0, resumeToken: '' };
  const told = await crowd(48, (who, signal) =>
    bench.calls.watchFlows({ request, actor: who, authority: '', signal, write: async () => {} }),
  );
  expect(told.filter((one) => one === 'stopped')).toHaveLength(49);
  expect(told.at(-1)).toBe('stopped');
});
