import { eachPort, includesPort, type PortRange, type Service, type Source, sourceName } from '@weft/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyHosts, anyMesh } from '../netmap/mesh.fixture.ts';
import { mesh, networkOf, rule, service, tcp } from '../netmap/network.fixture.ts';
import type { NetworkState } from '../state/types.ts';
import { policyCache } from './policy-cache.ts';
import { type CallerReach, createReach, type Reach } from './reach.ts';

const never = new AbortController().signal;

async function everyReach(callers: AsyncIterable<CallerReach>): Promise<Reach[]> {
  const all: Reach[] = [];
  for await (const { reach } of callers) all.push(...reach);
  return all;
}

const reachOf = (network: NetworkState, name: string): Promise<Reach[]> =>
  everyReach(createReach()(network, name, never));
const range = (first: number, last: number, protocol: PortRange['protocol'] = 'tcp'): PortRange => ({
  protocol,
  first,
  last,
});

const shop = await networkOf(
  mesh({
    services: [
      service('web', 'web', [range(3000, 3009), range(53, 53, 'udp')], {
        public: { port: 3004, hosts: ['shop.example.com'] },
      }),
      service('mailer', 'worker'),
      service('db', 'private', tcp(5432), { tags: ['store'] }),
    ],
    policies: [
      rule('no-debug', 'deny', ['mailer'], ['web'], [range(3002, 3003), range(3008, 4000)]),
      rule('builders-out', 'deny', ['tag:ci'], ['*'], []),
    ],
    agents: [{ name: 'b-1', tags: ['ci'], services: [] }],
  }),
  [{ host: 'front', services: ['web'] }, { host: 'b-1' }],
);

const lines = (reach: readonly Reach[]): string[] =>
  reach.map(({ source, ports, verdict, rule: by, reason }) => {
    const words = ports.map(({ first, last, protocol }) => `${first}-${last}/${protocol}`);
    return [source, words.join(' '), verdict, by, reason].join(' | ');
  });

describe('reach', () => {
  test('callers are services by name, hosts, then the internet; ports of one verdict are together', async () => {
    expect(lines(await reachOf(shop, 'web'))).toEqual([
      'db | 53-53/udp 3000-3009/tcp | allow | default | no policy is about db to web:53/udp, 3000-3009/tcp, and the default is allow',
      'mailer | 53-53/udp 3000-3001/tcp 3004-3007/tcp | allow | default | no policy is about mailer to web:53/udp, 3000-3001/tcp, 3004-3007/tcp, and the default is allow',
      'mailer | 3002-3003/tcp 3008-3009/tcp | deny | no-debug | policy no-debug denies mailer to web:3002-3003/tcp, 3008-3009/tcp',
      'web | 53-53/udp 3000-3009/tcp | allow | default | no policy is about web to web:53/udp, 3000-3009/tcp, and the default is allow',
      'host:b-1 | 53-53/udp 3000-3009/tcp | deny | builders-out | policy builders-out denies host:b-1 to web:53/udp, 3000-3009/tcp',
      'host:front | 53-53/udp 3000-3009/tcp | allow | default | no policy is about host:front to web:53/udp, 3000-3009/tcp, and the default is allow',
      "internet | 53-53/udp 3000-3003/tcp 3005-3009/tcp | deny | builtin:ingress | the internet reaches only a web service's public port, and web:53/udp, 3000-3003/tcp, 3005-3009/tcp is none",
      'internet | 3004-3004/tcp | allow | builtin:ingress | web:3004/tcp is declared public',
    ]);
  });

  test('a worker is reached by nobody, and has no port to say so of', async () => {
    const reach = await reachOf(shop, 'mailer');
    expect(reach.map(({ source }) => source)).toEqual(['db', 'mailer', 'web', 'host:b-1', 'host:front', 'internet']);
    for (const entry of reach) {
      expect(entry).toMatchObject({
        ports: [],
        verdict: 'deny',
        rule: 'builtin:worker',
        reason: 'mailer is a worker, and a worker receives nothing',
      });
    }
  });

  test('a service that is not there is said to be so', async () => {
    await expect(reachOf(shop, 'nope')).rejects.toMatchObject({ code: 'no-such-service' });
  });
});

/** Every caller of the network, by a way of its own. */
function everyCaller(network: NetworkState): Source[] {
  const tagsOf = (host: string): readonly string[] => network.mesh.agents.find(({ name }) => name === host)?.tags ?? [];
  return [
    ...network.mesh.services.map((called): Source => ({ type: 'service', service: called })),
    ...[...network.agents.values()].map(({ host, services }): Source => {
      const may = network.mesh.services.filter(({ name }) => services.includes(name));
      return { type: 'host', name: host, tags: tagsOf(host), services: may };
    }),
    { type: 'internet' },
  ];
}

const anyRange = fc
  .record({ protocol: fc.constantFrom('tcp', 'udp'), first: fc.integer({ min: 70, max: 95 }), width: fc.nat(6) })
  .map(({ protocol, first, width }) => range(first, first + width, protocol));

/** Ports that do not overlap, in whatever order. */
const anyPorts = fc.array(anyRange, { minLength: 1, maxLength: 5 }).map((ranges) => {
  const kept: PortRange[] = [];
  for (const one of ranges) {
    const free = !kept.some(
      (other) => other.protocol === one.protocol && other.first <= one.last && one.first <= other.last,
    );
    if (free) kept.push(one);
  }
  return kept;
});

const anyNetwork = fc
  .tuple(anyMesh, anyHosts, anyPorts, fc.array(fc.array(anyRange, { maxLength: 3 })))
  .map(([declared, hosts, ports, rulePorts]) => {
    const services = declared.services.map((one): Service => {
      if (one.kind === 'worker') return one;
      const open = one.public !== undefined && includesPort(ports, one.public.port, 'tcp');
      const { public: ingress, ...rest } = one;
      return open && ingress !== undefined ? { ...rest, ports, public: ingress } : { ...rest, ports };
    });
    const policies = declared.policies.map((one, index) => ({ ...one, ports: rulePorts[index] ?? one.ports }));
    return [{ ...declared, services, policies }, hosts] as const;
  });

test.each([
  [[range(10, 12)], 'many:10-12/tcp,'],
  [[1, 3, 5, 7, 9].map((port) => range(port, port)), 'many:1, 3, 5, 7, 9,'],
  [[1, 3, 5, 7, 9, 11].map((port) => range(port, port)), 'many:1, 3, 5, 7, 9, …,'],
])('a reason is about all ports that share it, five ranges of them written out: %#', async (ports, words) => {
  const network = await networkOf(mesh({ services: [service('many', 'private', ports)] }), []);
  const [own] = await reachOf(network, 'many');
  expect(own?.reason).toContain(words);
});

test('each caller and each declared port has the verdict of the evaluator, once', async () => {
  await fc.assert(
    fc.asyncProperty(anyNetwork, async ([declared, hosts]) => {
      const network = await networkOf(declared, hosts);
      const policy = policyCache()(network);
      for (const called of network.mesh.services) {
        const reach = Map.groupBy(await reachOf(network, called.name), ({ source }) => source);
        const callers = everyCaller(network);
        expect(new Set(reach.keys())).toEqual(new Set(callers.map(sourceName)));
        for (const source of callers) {
          const entries = reach.get(sourceName(source)) ?? [];
          for (const { port, protocol } of eachPort(called.ports)) {
            const about = entries.filter(({ ports }) => includesPort(ports, port, protocol));
            const verdict = policy.decide(source, { service: called, port, protocol }, '');
            expect(about.map(({ rule: by, verdict: told }) => [by, told === 'allow'])).toEqual([
              [verdict.rule, verdict.allowed],
            ]);
          }
          const told = entries.flatMap(({ ports }) => [...eachPort(ports)]).length;
          expect(told).toBe([...eachPort(called.ports)].length);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('the loop turns while the verdicts of many callers are made', async () => {
  const services = Array.from({ length: 40 }, (_, n) => service(`s${n}`, 'private', tcp(1)));
  const policies = Array.from({ length: 100 }, (_, n) =>
    rule(`r${n}`, 'deny', ['s0'], ['big'], [range(2 * n + 2, 2 * n + 2)]),
  );
  const network = await networkOf(
    mesh({ services: [...services, service('big', 'private', [range(1, 1_000)])], policies }),
    [],
  );
  let turns = 0;
  const turn = (): void => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  const gone = new AbortController();
  await everyReach(createReach()(network, 'big', gone.signal));
  clearImmediate(next);
  expect(turns).toBeGreaterThan(1);
  gone.abort(new Error('gone'));
  await expect(everyReach(createReach()(network, 'big', gone.signal))).rejects.toThrow('gone');
});
