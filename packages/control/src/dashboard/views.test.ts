import type { Telemetry } from '@weft/proto';
import { expect, test } from 'vitest';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import { agentOn, mesh, networkOf, service, tcp } from '../netmap/network.fixture.ts';
import { agentViews, networkView, serviceViews } from './views.ts';

const network = await networkOf(
  mesh({
    services: [
      service('web', 'web', tcp(3000), { public: { port: 3000, hosts: ['shop.example'] }, tags: ['front'] }),
      service('redis', 'private', tcp(6379)),
      service('mailer', 'worker'),
      // Named as a part of the agent is.
      service('gateway', 'private', tcp(80)),
    ],
    agents: [{ name: 'a', tags: ['edge'], services: [] }],
  }),
  [
    { host: 'a', services: ['web', 'redis'], roles: ['gateway'] },
    { host: 'b', services: ['redis', 'mailer'] },
  ],
);
const [a, b] = [agentOn(network, 'a'), agentOn(network, 'b')];

const telemetry = (peers: number): Telemetry => ({
  sentMs: 1,
  intervalMs: 5_000,
  pairs: [],
  pairsOmitted: 0,
  peers: Array.from({ length: peers }, (_, index) => ({
    host: `peer-${String(peers - index).padStart(3, '0')}`,
    tunnels: 1,
    roundTripUs: 1_234,
    bytesSent: index,
    bytesReceived: index,
    pathSize: 1_400,
  })),
  loopDelayUs: 1_260,
  flowsQueued: 3,
  recordsLost: 4,
});

const agent = (more: Partial<LiveAgent>): LiveAgent => ({
  connected: true,
  lastSeenMs: 9,
  enforcedRevision: network.revision,
  kept: true,
  enforcedSinceMs: 0,
  version: '1.0.0',
  capability: 1,
  report: undefined,
  observedHost: '',
  behindSinceMs: 0,
  clockSkewMs: 12.4,
  telemetry: undefined,
  peerRates: new Map(),
  ...more,
});

const problem = (subject: string) => ({ code: 'port-taken', subject, message: 'taken' });
const live: LiveAgents = {
  agent: (id) =>
    id === a.id
      ? agent({
          telemetry: telemetry(2),
          peerRates: new Map([['peer-001', { sentPerSecond: 1.6, receivedPerSecond: 2 }]]),
          report: {
            endpoints: [],
            tunnelPort: 0,
            instances: [],
            gatewayAddress: '0.0.0.0:8080',
            problems: [problem('0.redis:6379/tcp'), problem('gateway'), problem('web')],
            tunnels: 2,
            flows: 4,
            listeners: 0,
            toldApart: [],
            othersAsHost: false,
            exposed: [],
            triedByPeers: false,
          },
        })
      : agent({ connected: false, enforcedRevision: 0, telemetry: undefined }),
  instance: (id, name) => (id === a.id && name === 'redis' ? { healthy: true, notListening: tcp(6379) } : undefined),
};

test('a service has its names, its copies, and the problems that name it', () => {
  const views = new Map(serviceViews(network, live).map((view) => [view.name, view]));
  expect(views.get('redis')).toMatchObject({
    ports: ['6379'],
    names: ['redis.internal', 'redis-discovery.internal', '0.redis.internal', '1.redis.internal'],
    instances: [
      { host: 'a', healthy: true, connected: true, notListening: ['6379'] },
      { host: 'b', healthy: false, connected: false, notListening: [] },
    ],
    problems: [{ host: 'a', subject: '0.redis:6379/tcp' }],
  });
  // The agent that may run web is connected and says that it does not.
  expect(views.get('web')).toMatchObject({
    instances: [],
    public: { port: 3000, hosts: ['shop.example'] },
    tags: ['front'],
    problems: [{ subject: 'web' }],
  });
  expect(views.get('mailer')).toMatchObject({ vip: '', names: [], ports: [], instances: [{ host: 'b' }] });
  expect(views.get('gateway')?.problems).toEqual([]);
  expect('public' in (views.get('mailer') ?? {})).toBe(false);
});

test('an agent has what it told, and what it did not tell is left out', () => {
  const [one, other] = agentViews(network, live).sort((left, right) => left.host.localeCompare(right.host));
  expect(one).toMatchObject({
    tags: ['edge'],
    roles: ['gateway'],
    gatewayAddress: '0.0.0.0:8080',
    clockSkewMs: 12,
    loopDelayMs: 1.3,
    flowsQueued: 3,
    recordsLost: 4,
    openFlows: 4,
    tunnels: [
      { host: 'peer-001', roundTripMs: 1.23, sentPerSecond: 2, receivedPerSecond: 2 },
      { host: 'peer-002', sentPerSecond: 0 },
    ],
  });
  expect(one?.problems.length).toBe(3);
  expect(other).toMatchObject({ host: 'b', connected: false, tunnels: [], gatewayAddress: '' });
  for (const field of ['loopDelayMs', 'flowsQueued', 'tunnelsOmitted']) expect(field in (other ?? {})).toBe(false);
});

test('of many tunnels those with the most bytes are shown, and how many are not', () => {
  const many: LiveAgents = { ...live, agent: () => agent({ telemetry: telemetry(100) }) };
  const [view] = agentViews(network, many);
  expect(view?.tunnels.length).toBe(64);
  expect(view?.tunnelsOmitted).toBe(36);
  // The busiest are the last of the list that was told, whose names are the lowest.
  expect(view?.tunnels.map(({ host }) => host)).toContain('peer-001');
  expect(view?.tunnels.map(({ host }) => host)).not.toContain('peer-100');
});

test('a network counts who is connected, and names who is behind', () => {
  const lost = { flowsDropped: 1, trafficOmitted: 2, acceptsOlderData: false };
  expect(networkView(network, live, lost)).toEqual({
    name: 'prod',
    revision: network.revision,
    services: 4,
    agents: 2,
    connected: 1,
    behind: [],
    ...lost,
  });
  const behind: LiveAgents = { ...live, agent: () => agent({ enforcedRevision: 0 }) };
  expect(networkView(network, behind, lost).behind).toEqual(['a', 'b']);
  expect(b.host).toBe('b');
});
