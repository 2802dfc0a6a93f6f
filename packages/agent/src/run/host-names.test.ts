import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FlowRecorder } from '../flows/recorder.ts';
import type { Netmap } from '../words/netmap.ts';
import { hostNames } from './host-names.ts';

test('flows are told by the name that each host has now, also where another has its former one by then', () => {
  const kept: object[] = [];
  const recorder = new FlowRecorder();
  const membership = { current: { host: 'data' }, keep: async (change: object) => void kept.push(change) };
  const follow = hostNames({ kept: membership as never, recorder, logger: pino({ level: 'silent' }) });
  const see = (self: string, peers: Record<string, string>) => {
    const entries = Object.entries(peers).map(([id, host]) => [id, { host }] as const);
    follow({ self: { host: self }, peers: new Map(entries) } as unknown as Pick<Netmap, 'self' | 'peers'>);
  };
  const toldFrom = (sourceHost: string, startedMs?: number) =>
    recorder.byNamesOfNow({ source: `host:${sourceHost}`, sourceHost, destinationHost: 'data' }, startedMs);

  see('data', { one: 'near', two: 'far' });
  expect(recorder.wasRenamed).toBe(false);
  const before = Date.now();
  see('vault', { one: 'close', two: 'far' });
  expect(kept).toEqual([{ host: 'vault' }]);
  const renamed = { source: 'host:close', sourceHost: 'close', destinationHost: 'vault' };
  expect([toldFrom('near', before - 1), toldFrom('near')]).toEqual([renamed, renamed]);
  see('vault', { one: 'close', two: 'near' });
  expect(toldFrom('near', before - 1)).toEqual(renamed);
  // Who has the name now is meant by what began since, and by what no time is known of.
  expect([toldFrom('near', Date.now() + 1).sourceHost, toldFrom('near').sourceHost]).toEqual(['near', 'near']);
  expect(toldFrom('far', before - 1).sourceHost).toBe('near');

  // Told together, as behind a lost connection: each host has one of them.
  const between = Date.now() + 1;
  while (Date.now() <= between) {}
  see('vault', { one: 'near', two: 'close' });
  const together = [toldFrom('near', between), toldFrom('close', between)].map((one) => one.sourceHost);
  expect(together).toEqual(['close', 'near']);
});
