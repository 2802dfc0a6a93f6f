import { describe, expect, test } from 'vitest';
import { rightsIn, runnableProblem, runsNothing } from './may-run.ts';
import type { AgentSettings, Service } from './mesh.ts';

const services: Service[] = [
  { name: 'web', kind: 'web', ports: [], tags: [] },
  { name: 'redis', kind: 'private', ports: [], tags: [] },
  { name: 'mailer', kind: 'worker', ports: [], tags: [] },
];
const agents: AgentSettings[] = [
  { name: 'data-1', tags: [], services: ['redis'] },
  { name: 'all-1', tags: [], services: ['*'] },
];
const rightOf = rightsIn({ services, agents });

describe('a host may run', () => {
  test.each<[string, string, string[], string[]]>([
    ['nothing that nobody says', 'other', [], []],
    ['what its tokens and grants say', 'other', ['web'], ['web']],
    ['what the mesh says', 'data-1', [], ['redis']],
    ['both, once each and sorted', 'data-1', ['web', 'redis'], ['redis', 'web']],
    ['what is not declared yet', 'other', ['later'], ['later']],
    ['each of a kind', 'other', ['kind:worker', 'kind:web'], ['mailer', 'web']],
    ['none of a kind that there is not', 'data-1', ['kind:cron'], ['redis']],
    ['all, and what is not declared yet', 'all-1', ['later'], ['later', 'mailer', 'redis', 'web']],
  ])('%s', (_what, host, granted, right) => {
    expect(rightOf(host, granted)).toEqual(right);
  });
});

test.each(['redis', '*', 'kind:web', 'kind:worker'])('%s says what may be run', (entry) => {
  expect(runnableProblem(entry)).toBeUndefined();
});

test.each(['kind:cron', 'tag:eu', 'host:a', 'Redis', '', 'internet', 're*'])('%j does not', (entry) => {
  expect(runnableProblem(entry)).toMatch(/^expected|reserved/);
});

test('an entry that lets nothing run tells why', () => {
  expect(['redis', '*', 'kind:web'].map((entry) => runsNothing(entry, { services }))).toEqual(Array(3).fill(undefined));
  expect(runsNothing('reddis', { services })).toBe('the mesh declares no service reddis');
  expect(runsNothing('kind:web', { services: services.slice(1) })).toBe('the mesh declares no service of kind web');
  expect(runsNothing('*', { services: [] })).toBe('the mesh declares no service');
});
