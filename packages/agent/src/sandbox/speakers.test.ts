import type { FlowRecord } from '@weft/proto';
import { expect, test } from 'vitest';
import { netmap } from '../flows/flows.fixture.ts';
import { FlowRegistry } from '../flows/registry.ts';
import { Admitter } from '../outbound/forward.ts';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import { speakersOf } from './speakers.ts';

test('what is open of a program that may not run as its service any more is cut, in the mesh and out of it, and no more is let in', () => {
  const current = netmap(1);
  let again = () => {};
  const source: NetmapSource = {
    current,
    staleSinceMs: undefined,
    subscribe(_step, listener) {
      again = () => listener(current, current);
    },
  };
  const records: FlowRecord[] = [];
  const registry = new FlowRegistry({ netmap: source, sink: { record: (flow) => records.push(flow) } });
  const admitter = new Admitter({ netmap: source, registry, declared: new Set(['web']) });
  let may = true;
  const asked: Netmap[] = [];
  const holds = (now: Netmap) => {
    asked.push(now);
    return may;
  };
  const { unknown } = speakersOf(
    { service: 'web', user: 'games', pid: 4_711, program: () => 'mailer', holds },
    () => current,
  );
  const call = { service: 'redis', ordinal: undefined, port: 6379, protocol: 'tcp' } as const;
  const outside = { address: '193.0.6.139:443', decide: () => ({ allowed: true, reason: 'opened' }) };
  const leave = () => admitter.outside({ port: 443, protocol: 'tcp' }, unknown, outside);
  expect(admitter.local(call, unknown).admitted).toBe(true);
  expect(leave()?.live).toBe(true);
  again();
  expect(records).toEqual([]);
  may = false;
  again();
  expect(records.map(({ service, outcome, program }) => [service, outcome, program])).toEqual([
    ['redis', 'cut', 'mailer'],
    ['internet', 'cut', 'mailer'],
  ]);
  expect(registry.live).toBe(0);
  expect(admitter.local(call, unknown).admitted).toBe(false);
  expect(leave()).toBeUndefined();
  expect(new Set(asked)).toEqual(new Set([current]));
});
