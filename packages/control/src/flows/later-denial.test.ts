import type { FlowRecord, Mesh } from '@weft/proto';
import { beforeEach, expect, test } from 'vitest';
import { emptyState, joinHost, mesh, rule, service, tcp } from '../netmap/network.fixture.ts';
import type { StateStore } from '../state/types.ts';
import { flow } from './flow.fixture.ts';
import { LaterDenials } from './later-denial.ts';

const services = [service('web', 'private', tcp(3000)), service('redis', 'private', tcp(6379))];
const open = mesh({ services });
const noWeb = rule('no-web', 'deny', ['web'], ['redis']);

let state: StateStore;
let denials: LaterDenials;
beforeEach(async () => {
  state = await emptyState();
  denials = new LaterDenials(state);
  await apply(open);
  for (const [host, runs] of [
    ['front', 'web'],
    ['data', 'redis'],
    ['build', ''],
  ] as const)
    await joinHost(state, 'prod', { host, services: runs === '' ? [] : [runs] });
});

const apply = (next: Mesh) => state.apply(next, { dryRun: false, actor: 'control' });
const now = () => state.current.networks.get('prod')?.revision ?? 0;
const ends = { source: 'web', sourceHost: 'front', service: 'redis', destinationHost: 'data', port: 6379 };

/** Of a flow that was opened at this revision, whether its source may say that this rule denied it. */
function isSo(openedAt: number, by: string, more: Partial<FlowRecord> = {}): boolean {
  const told = { ...ends, protocol: 'tcp', ...more } as const;
  // Whatever else its source writes of it: another caller that is denied, and one that is not there.
  const lies = { source: 'nobody', service: 'web', port: 3000 };
  const source = flow(1, { ...told, ...lies, verdict: 'deny', outcome: 'cut', rule: by, revision: 99 });
  const destination = flow(1, { ...told, verdict: 'allow', outcome: 'closed', revision: openedAt });
  return denials.isSo('prod', source, destination);
}

test('a rule that came after the flow and denies it is believed, and no other', async () => {
  const openedAt = now();
  expect(isSo(openedAt, 'no-web')).toBe(false);
  expect(isSo(openedAt, 'default')).toBe(false);
  await apply(mesh({ services, policies: [noWeb, rule('other', 'deny', ['redis'], ['web'])] }));
  expect(isSo(openedAt, 'no-web')).toBe(true);
  expect(isSo(openedAt, 'other')).toBe(false);
  expect(isSo(openedAt, 'made-up')).toBe(false);
  // It was there as the flow was opened, so that its destination knew it.
  expect(isSo(now(), 'no-web')).toBe(false);
  expect(isSo(openedAt, 'no-web', { source: 'host:build', sourceHost: 'build' })).toBe(false);
  expect(denials.isSo('elsewhere', flow(1), flow(1))).toBe(false);
});

test('a rule that has gone again is remembered for a few meshes', async () => {
  const openedAt = now();
  await apply(mesh({ services, policies: [noWeb] }));
  await apply(open);
  expect(isSo(openedAt, 'no-web')).toBe(true);
  expect(isSo(now(), 'no-web')).toBe(false);
  for (const at of [1, 2, 3, 4])
    await apply(mesh({ services, policies: [rule(`apart-${at}`, 'deny', ['redis'], ['web'])] }));
  expect(isSo(openedAt, 'no-web')).toBe(false);
});

test('the default, and what a host may run, deny too', async () => {
  const openedAt = now();
  await apply(mesh({ services, defaultAction: 'deny' }));
  expect(isSo(openedAt, 'default')).toBe(true);
  await apply(mesh({ services, policies: [noWeb] }));
  const process = { source: 'host:build', sourceHost: 'build' };
  const granted = now();
  expect(isSo(granted, 'no-web', process)).toBe(false);
  await state.grantServices(
    'prod',
    { agent: 'build', services: ['web', 'redis'], take: false },
    { dryRun: false, actor: 'control' },
  );
  expect(isSo(granted, 'no-web', process)).toBe(true);
});

test('who or what is gone ends the flow, by whichever rule', async () => {
  const openedAt = now();
  expect(isSo(openedAt, 'builtin:source', { source: 'redis' })).toBe(true);
  expect(isSo(openedAt, 'builtin:source', { source: 'internet' })).toBe(true);
  expect(isSo(openedAt, 'builtin:source', { sourceHost: 'nobody' })).toBe(true);
  expect(isSo(openedAt, 'builtin:source')).toBe(false);
  await state.revokeAgent('prod', 'data', 'control');
  expect(isSo(openedAt, 'builtin:source')).toBe(true);
  await state.removeNetwork('prod', 'control').catch(() => undefined);
  expect(isSo(openedAt, 'builtin:source')).toBe(false);
});
