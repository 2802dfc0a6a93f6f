import { expect, test } from 'vitest';
import type { Netmap } from '../words/netmap.ts';
import { servedElsewhere, untilQuiet, withoutLeft } from './leaving.ts';

const report = (service: string) => ({ service, healthy: true, notListening: [] });

test('what another host serves well is left to it, and all at the end', () => {
  const instance = (agentId: string, healthy: boolean) => ({ agentId, healthy });
  const services = new Map([
    ['redis', { instances: [instance('here', true), instance('there', true)] }],
    ['sick', { instances: [instance('here', true), instance('there', false)] }],
    ['alone', { instances: [instance('here', true)] }],
  ]);
  const left = servedElsewhere({ services, self: { agentId: 'here' } } as unknown as Netmap);
  expect([...left]).toEqual(['redis']);
  const reports = ['redis', 'alone'].map(report);
  expect(withoutLeft(reports, left).map(({ healthy }) => healthy)).toEqual([false, true]);
  expect(withoutLeft(reports, 'all').map(({ healthy }) => healthy)).toEqual([false, false]);
});

test('what is open is waited for, and no longer than it may take', async () => {
  let open = 3;
  await untilQuiet(() => Promise.resolve(--open), 60_000);
  expect(open).toBe(0);
  let looks = 0;
  await untilQuiet(() => Promise.resolve(++looks), 60);
  expect(looks).toBeGreaterThan(0);
  await untilQuiet(() => Promise.reject(new Error('nobody asks')), 0);
});
