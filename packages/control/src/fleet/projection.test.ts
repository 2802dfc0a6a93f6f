import { expect, test } from 'vitest';
import { agentOn, mesh, networkOf, service, tcp } from '../netmap/network.fixture.ts';
import type { LiveAgent, LiveAgents } from './live.ts';
import { behindMs, fleetAgents, fleetInstances, fleetNetwork, fleetServices } from './projection.ts';

const network = await networkOf(
  mesh({ services: [service('redis', 'private', tcp(6379))], agents: [{ name: 'a', tags: ['edge'], services: [] }] }),
  ['a', 'b', 'c', 'd'].map((host) => ({ host, services: ['redis'] })),
);

const heard: LiveAgent = {
  connected: true,
  lastSeenMs: 9,
  enforcedRevision: network.revision,
  kept: true,
  enforcedSinceMs: 5,
  version: '9.9.9',
  capability: 2,
  report: undefined,
  observedHost: '',
  behindSinceMs: 0,
  clockSkewMs: undefined,
  telemetry: undefined,
  peerRates: new Map(),
};

/** `a` enforces and runs it, `b` is behind and runs it no more, `c` is away and last ran it, nothing is known of `d`. */
const agents = new Map<string, LiveAgent>([
  [agentOn(network, 'a').id, heard],
  [agentOn(network, 'b').id, { ...heard, enforcedRevision: 0, behindSinceMs: 1_000 }],
  [agentOn(network, 'c').id, { ...heard, connected: false, enforcedRevision: 0, behindSinceMs: 1_000 }],
]);
const runs = new Set([agentOn(network, 'a').id, agentOn(network, 'c').id]);
const live: LiveAgents = {
  agent: (id) => agents.get(id),
  instance: (id) => (runs.has(id) ? { healthy: true, notListening: [] } : undefined),
};

test('each agent is told with its tags, and only one that is connected can be behind', () => {
  const told = fleetAgents(network, live).map(({ agent, connected, behind, tags, version }) => ({
    host: agent.host,
    connected,
    behind,
    tags,
    version,
  }));
  const own = agentOn(network, 'd').version;
  expect(told).toEqual([
    { host: 'a', connected: true, behind: false, tags: ['edge'], version: '9.9.9' },
    { host: 'b', connected: true, behind: true, tags: [], version: '9.9.9' },
    { host: 'c', connected: false, behind: false, tags: [], version: '9.9.9' },
    { host: 'd', connected: false, behind: false, tags: [], version: own },
  ]);
  expect(fleetNetwork(network, live)).toMatchObject({ services: 1, agents: 4, connected: 2, behind: ['b'] });
});

test('a copy that its connected agent does not run is none; one whose agent is away is told as last known, or not healthy', () => {
  const told = (all: ReturnType<typeof fleetInstances>) =>
    all.map(({ agent, connected, healthy }) => [agent?.host, connected, healthy]);
  const expected = [
    ['a', true, true],
    ['c', false, true],
    ['d', false, false],
  ];
  expect(told(fleetInstances(network, live))).toEqual(expected);
  expect(told(fleetInstances(network, live, 'redis'))).toEqual(expected);
  expect(fleetInstances(network, live, 'web')).toEqual([]);
  expect(fleetServices(network, live).map((one) => told([...one.instances]))).toEqual([expected]);
});

test('how long an agent is behind is never less than nothing, by a clock that was set back too', () => {
  expect(behindMs({ ...heard, behindSinceMs: 1_000 }, 3_500)).toBe(2_500);
  expect(behindMs({ ...heard, behindSinceMs: 4_000 }, 3_500)).toBe(0);
  expect(behindMs(heard, 3_500)).toBe(0);
});
