import type { OpenFlow, OpenFlowsQuestion } from '@weft/proto';
import { expect, test } from 'vitest';
import { netmap } from './flows.fixture.ts';
import { remoteCaller } from './judge.ts';
import { mergeOpenFlows } from './open-flows.ts';
import { FlowRegistry } from './registry.ts';

function setUp() {
  const clock = { ms: 1_000 };
  const { services } = netmap(1);
  const redis = services.get('redis') ?? expect.unreachable();
  const ports = [{ protocol: 'tcp', first: 1, last: 6379 } as const];
  const wide = new Map([...services, ['redis', { ...redis, service: { ...redis.service, ports } }]]);
  const source = { current: netmap(1, { services: wide }), staleSinceMs: undefined, subscribe: () => {} };
  const registry = new FlowRegistry({ netmap: source, sink: { record: () => {} }, now: () => clock.ms });
  let last = 0;
  const open = (port: number, destination?: string) => {
    last += 1;
    const admission = registry.open({
      id: last.toString(16).padStart(16, '0'),
      ...{ protocol: 'tcp', service: 'redis', port, claimed: { source: 'web', host: 'peer' } },
      owner: { user: 'bin', unit: 'web.service', program: '/usr/bin/web' },
      identify: (current) => remoteCaller(current, 'p', { type: 'service', name: 'web' }),
    });
    if (!admission.admitted) throw new Error(admission.refusal.reason);
    const { flow } = admission;
    flow.reached('redis/0', destination ?? 'self');
    if (destination !== undefined) flow.handOver();
    return flow;
  };
  const ask = (asked: Partial<OpenFlowsQuestion>) => registry.openFlows({ filter: {}, most: 10, ...asked });
  const portsOf = (asked: Partial<OpenFlowsQuestion>) => ask(asked).flows.map(({ port }) => port);
  return { clock, registry, open, ask, portsOf };
}

test('an open flow is told as its record will be, with how long it is open and silent', () => {
  const { clock, registry, open, ask } = setUp();
  const flow = open(6379);
  expect(ask({}).flows).toEqual([]);
  flow.opened();
  flow.bytesSent += 3;
  clock.ms += 5_000;
  registry.look();
  clock.ms += 7_000;
  expect(ask({})).toEqual({
    flows: [
      {
        ...{ id: flow.id, source: 'web', sourceHost: 'peer', service: 'redis', instance: 'redis/0', port: 6379 },
        ...{ destinationHost: 'self', protocol: 'tcp', bytesSent: 3, bytesReceived: 0, ageMs: 12_000, idleMs: 7_000 },
        ...{ user: 'bin', unit: 'web.service', program: '/usr/bin/web' },
      },
    ],
    omitted: 0,
  });
  flow.bytesReceived += 1;
  expect(ask({}).flows[0]).toMatchObject({ idleMs: 0, bytesReceived: 1 });
  // A clock that is set back makes no age below nothing.
  clock.ms = 0;
  expect(ask({}).flows[0]).toMatchObject({ ageMs: 0, idleMs: 0 });
  flow.end('closed');
  expect(ask({}).flows).toEqual([]);
});

test('the newest are told, and how many more there are', () => {
  const { open, ask } = setUp();
  for (const port of [1, 2, 3, 4]) open(port).opened();
  const { flows, omitted } = ask({ most: 3 });
  expect([flows.map(({ port }) => port), omitted]).toEqual([[4, 3, 2], 1]);
  expect(ask({ most: 0 })).toEqual({ flows: [], omitted: 4 });
});

test('what was handed over is told only where it is asked for, and those alone that are asked for', () => {
  const { open, portsOf } = setUp();
  open(1).opened();
  open(2, 'far').opened();
  open(3, 'else').opened();
  expect(portsOf({})).toEqual([1]);
  expect(portsOf({ handedOverTo: [] })).toEqual([3, 2]);
  expect(portsOf({ handedOverTo: ['far'] })).toEqual([2]);
  expect(portsOf({ filter: { source: 'web', service: 'redis', host: 'self', port: 1 } })).toEqual([1]);
  for (const filter of [{ source: 'x' }, { service: 'x' }, { host: 'x' }, { port: 2 }])
    expect(portsOf({ filter })).toEqual([]);
});

test('what several threads tell is told as by one', () => {
  const flow = (ageMs: number) => ({ ageMs }) as OpenFlow;
  const one = { flows: [flow(1), flow(4)], omitted: 2 };
  const other = { flows: [flow(2), flow(3)], omitted: 0 };
  expect(mergeOpenFlows([one, other], 3)).toEqual({ flows: [flow(1), flow(2), flow(3)], omitted: 3 });
  expect(mergeOpenFlows([one], 3)).toBe(one);
});
