import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { parseAgentFile } from '../config/agent-file.ts';
import { sampleNetmap } from '../netmap/sample.fixture.ts';
import type { NetmapInstance, NetmapPeer, NetmapService } from '../words/netmap.ts';
import { hostFacts } from './host-facts.ts';

const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** The port of a program on 127.0.0.1. */
async function listening(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function service(
  name: string,
  kind: 'private' | 'worker',
  ports: [number, number][],
  ...on: Partial<NetmapInstance>[]
) {
  const instances = on.map((instance, ordinal): NetmapInstance => {
    return { service: name, ordinal, agentId: '', address: undefined, healthy: true, notListening: [], ...instance };
  });
  const ranges = ports.map(([first, last]) => ({ protocol: 'tcp' as const, first, last }));
  const known: NetmapService = { service: { name, kind, ports: ranges, tags: [] }, address: '127.80.0.9', instances };
  return [name, known] as const;
}

const sample = sampleNetmap();
const asked = (services: readonly (readonly [string, NetmapService])[], file: string) => {
  const netmap = sampleNetmap({
    services: new Map(services),
    ...(sample.self && { self: { ...sample.self, services: services.map(([name]) => name) } }),
  });
  const declared = parseAgentFile('weft.yaml', file).services;
  return {
    netmap,
    services: declared,
    targets: { answers: () => false, other: () => undefined, inSandbox: () => false },
    threads: 1,
  };
};

test('each declared port is tried where the agent file says, and neighbours that came to the same are one', async () => {
  const open = await listening();
  const file = `services: { redis: { targets: { 6379: "127.0.0.1:${open}" } }, rabbit: {}, mailer: {} }`;
  const { targets } = await hostFacts(
    asked(
      [
        service('redis', 'private', [
          [6379, 6379],
          [1, 3],
        ]),
        service('mailer', 'worker', []),
      ],
      file,
    ),
  );
  const range = (first: number, last: number) => ({ protocol: 'tcp', first, last });
  expect(targets).toEqual([
    { service: 'redis', ports: range(6379, 6379), tried: [{ address: `127.0.0.1:${open}`, error: '' }] },
    {
      service: 'redis',
      ports: range(1, 3),
      tried: [
        { address: '127.0.0.1:1', error: 'connection refused' },
        { address: '[::1]:1', error: expect.stringMatching(/./) },
      ],
    },
  ]);
});

test('where a program of another user than match names listens, no call is tried, and it is told whose it is', async () => {
  const open = await listening();
  const file = `services: { redis: { match: { user: redis }, targets: { 6379: "localhost:${open}", 6380: "localhost:${open}" } } }`;
  const ports: [number, number][] = [[6379, 6380]];
  const parts = asked([service('redis', 'private', ports)], file);
  const there = (host: string) => (host === '127.0.0.1' ? 'mallory' : undefined);
  const other = (_service: string, { host }: { readonly host: string }) => there(host);
  const { targets } = await hostFacts({ ...parts, targets: { ...parts.targets, other } });
  const error = 'a program of user mallory listens there, who is another than match in the agent file names';
  const tried = [{ address: `127.0.0.1:${open}`, error, other: 'mallory' }, { address: `[::1]:${open}` }];
  expect(targets).toMatchObject([{ tried }, { tried }]);
});

test('a port that is served in a sandbox is not tried outside', async () => {
  const parts = asked([service('web', 'private', [[1, 2]])], 'services: {}');
  const services = new Map([['web', { name: 'web', targets: [], shutIn: true as const }]]);
  const inSandbox = (_service: string, port: number) => port === 1;
  const { targets } = await hostFacts({ ...parts, services, targets: { ...parts.targets, inSandbox } });
  expect(targets).toMatchObject([
    { ports: { first: 1, last: 1 }, tried: [{ address: 'in a sandbox', error: '' }] },
    { ports: { first: 2, last: 2 }, tried: [{ address: 'in a sandbox', error: 'no program listens' }] },
  ]);
});

test('of UDP the last look is told', async () => {
  const [name, known] = service('statsd', 'private', []);
  const ports = [{ protocol: 'udp' as const, first: 8125, last: 8125 }];
  const parts = asked([[name, { ...known, service: { ...known.service, ports } }]], 'services: { statsd: {} }');
  expect((await hostFacts(parts)).targets).toMatchObject([
    { tried: [{ address: '127.0.0.1:8125', error: 'no program listens' }, { address: '[::1]:8125' }] },
  ]);
  const heard = { ...parts, targets: { ...parts.targets, answers: () => true } };
  expect((await hostFacts(heard)).targets).toMatchObject([{ tried: [{ address: '127.0.0.1:8125', error: '' }] }]);
});

test('a peer whose instances tell nothing is not heard by control', async () => {
  const peer = (host: string): [string, NetmapPeer] => {
    const none = { tags: [], roles: [], services: [], address: undefined, endpoints: [] };
    return [host, { ...none, agentId: host, host, tunnelKey: new Uint8Array(32), psk: new Uint8Array(32) }];
  };
  const silent = [{ protocol: 'tcp' as const, first: 1, last: 1 }];
  const parts = asked(
    [
      service('redis', 'private', [[1, 1]], { agentId: 'a' }, { agentId: 'b', healthy: false, notListening: silent }),
      // What was silent there when it was heard last says nothing of now.
      service('rabbit', 'private', [[1, 2]], { agentId: 'c', healthy: false, notListening: silent }),
      service('mailer', 'worker', [], { agentId: 'd' }),
    ],
    'services: {}',
  );
  const netmap = { ...parts.netmap, peers: new Map(['a', 'b', 'c', 'd', 'e'].map(peer)) };
  expect((await hostFacts({ ...parts, netmap })).peers).toEqual([
    { host: 'a', runs: ['redis'], up: true },
    { host: 'b', runs: ['redis'], up: true },
    { host: 'c', runs: ['rabbit'], up: false },
    { host: 'd', runs: [], up: true },
    { host: 'e', runs: [] },
  ]);
});

test('files are wanted for each port of each thread', async () => {
  const parts = asked([service('wide', 'private', [[1_000, 1_999]])], 'services: {}');
  const [one, two] = await Promise.all([hostFacts(parts), hostFacts({ ...parts, threads: 2 })]);
  expect(one.filesNeeded).toBeGreaterThan(2_000);
  expect(two.filesNeeded).toBeGreaterThan(4_000);
});
