import type { Rule } from '@weft/proto';
import { describe, expect, it } from 'vitest';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';
import { DENY_WEB, netmap } from './flows.fixture.ts';
import { remoteCaller } from './judge.ts';
import { FlowRecorder } from './recorder.ts';
import { fromWeb, opened, setup } from './registry.fixture.ts';
import { FlowTraffic } from './traffic.ts';

function withRedisAt(revision: number, instance: NetmapInstance): Netmap {
  const { services } = netmap(revision);
  return netmap(revision, {
    services: new Map(
      Array.from(services, ([name, found]) => [name, name === 'redis' ? { ...found, instances: [instance] } : found]),
    ),
  });
}

it('records a call once it is known which process made it, and at the latest when the agent stops', async () => {
  const { registry, records, swap } = setup();
  const named = Promise.withResolvers<void>();
  const owner = { user: 'bin', unit: '', program: '', naming: named.promise };
  const calls = [0, 1].map(() => opened(registry, { ...fromWeb, owner }));
  calls[0]?.end('closed');
  swap(netmap(2, { rules: [DENY_WEB] }));
  expect(registry.open({ ...fromWeb, owner }).admitted).toBe(false);
  expect(records).toEqual([]);
  owner.program = '/bin/who';
  named.resolve();
  await expect.poll(() => records.map(({ outcome }) => outcome)).toEqual(['closed', 'cut', 'denied']);
  expect(records).toMatchObject(records.map(() => ({ program: '/bin/who' })));
  const never = { ...owner, naming: new Promise<void>(() => {}) };
  registry.open({ ...fromWeb, owner: never });
  registry.stop('the agent stops');
  expect(records).toHaveLength(4);
});

it('cuts every flow at a stop, and records it, also behind one that fails to end', () => {
  const { registry, records } = setup();
  const flows = Array.from({ length: 3 }, () => opened(registry));
  const cut: number[] = [];
  for (const [at, flow] of flows.entries())
    flow.onCut(() => {
      cut.push(at);
      if (at === 1) throw new Error('no more');
    });
  expect(() => registry.stop('the agent stops')).toThrow(AggregateError);
  expect(cut).toEqual([0, 1, 2]);
  expect(records.map(({ outcome }) => outcome)).toEqual(['cut', 'cut', 'cut']);
});

describe('a call that leaves the mesh', () => {
  const outside = { address: '193.0.6.139:443', decide: () => ({ allowed: true, reason: 'opened' }) };
  const out = { ...fromWeb, service: 'internet', port: 443, outside };

  it('is judged by who carries it there, recorded with the place, and cut with its caller', () => {
    const traffic = new FlowTraffic();
    const { registry, records, swap } = setup(undefined, undefined, traffic);
    const admission = registry.openOutside(out);
    if (!admission.admitted) throw new Error(admission.refusal.reason);
    admission.flow.opened();
    expect(registry.openFlows({ filter: {}, most: 10 }).flows).toMatchObject([{ source: 'web', service: 'internet' }]);
    swap(netmap(2, { rules: [DENY_WEB] }));
    expect(records).toEqual([]);
    swap(netmap(3, { peers: new Map() }));
    expect(records).toMatchObject([
      { service: 'internet', outcome: 'cut', verdict: 'deny', detail: 'to 193.0.6.139:443: peer may not speak as web' },
    ]);
  });

  it('is refused by it, and asked as a call to a service is one of no name', () => {
    const { registry, records } = setup();
    const refusing = { ...outside, decide: () => ({ allowed: false, reason: 'not opened' }) };
    expect(registry.openOutside({ ...out, outside: refusing }).admitted).toBe(false);
    expect(registry.open(out).admitted).toBe(false);
    expect(records.map(({ rule, outcome, detail }) => [rule, outcome, detail])).toEqual([
      ['builtin:egress', 'denied', 'to 193.0.6.139:443: not opened'],
      ['builtin:no-such-service', 'denied', 'to 193.0.6.139:443: there is no service internet in this network'],
    ]);
  });

  it('finds no room where there is none', () => {
    const { registry, records } = setup(0);
    expect(registry.openOutside(out).admitted).toBe(false);
    expect(records).toMatchObject([{ outcome: 'overloaded', verdict: 'allow' }]);
  });
});

describe('the registry', () => {
  it('leaves calls of peers to other instances where it is told to and one has the port now, and no others', () => {
    const { registry, records, swap } = setup();
    registry.leave(true);
    const ofPeer = { ...fromWeb, peer: 'p', destinationHost: 'self' };
    // Nobody else serves it.
    expect(registry.open(ofPeer).admitted).toBe(true);
    const elsewhere = {
      service: 'redis',
      ordinal: 1,
      agentId: 'p',
      address: undefined,
      healthy: true,
      notListening: [],
    };
    swap(withRedisAt(2, elsewhere));
    expect(registry.open(ofPeer)).toMatchObject({
      admitted: false,
      refusal: { code: 'overloaded', reason: 'this agent stops' },
    });
    // The source tells of it, as another instance may take it.
    expect(records).toEqual([]);
    expect(registry.open(fromWeb).admitted).toBe(true);
    const admitted = (other: Partial<NetmapInstance>, revision: number) => {
      swap(withRedisAt(revision, { ...elsewhere, ...other }));
      return registry.open(ofPeer).admitted;
    };
    expect(admitted({ notListening: [{ protocol: 'tcp', first: 6379, last: 6379 }] }, 3)).toBe(true);
    expect(admitted({ notListening: [{ protocol: 'udp', first: 6379, last: 6379 }] }, 4)).toBe(false);
    expect(admitted({ healthy: false }, 5)).toBe(true);
    expect(admitted({ agentId: 's' }, 6)).toBe(true);
    expect(admitted({}, 7)).toBe(false);
    registry.leave(false);
    expect(registry.open(ofPeer).admitted).toBe(true);
  });

  it('records a flow once, however often it ends', () => {
    const { registry, records } = setup();
    const flow = opened(registry);
    flow.bytesSent += 3;
    flow.reached('redis/0', 'self');
    flow.end('closed');
    flow.end('reset', 'late');
    expect(records).toMatchObject([
      {
        outcome: 'closed',
        startedMs: 1_000,
        durationMs: 1,
        bytesSent: 3,
        instance: 'redis/0',
        rule: 'default',
        detail: '',
      },
    ]);
    expect(registry.live).toBe(0);
  });

  it('leaves the record to whom a flow was handed over', () => {
    const { registry, records } = setup();
    const flow = opened(registry);
    flow.handOver();
    flow.end('closed');
    expect(records).toEqual([]);
  });

  it('tells only of the end of a flow that its destination has told of, and whose tunnel broke', () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { registry, records } = setup(undefined, undefined, traffic);
    const flow = opened(registry);
    flow.reached('redis/0', 'peer');
    flow.handOver();
    flow.opened();
    flow.bytesSent += 3;
    flow.sever();
    flow.end('reset', 'the tunnel broke');
    expect(records).toMatchObject([{ outcome: 'reset', bytesSent: 3 }]);
    expect(traffic.take(10).pairs).toMatchObject([{ open: 0, opened: 0, failed: 1, bytesSent: 0 }]);
    expect(traffic.series()).toMatchObject([{ opened: 1, failed: { reset: 1 }, bytesSent: 3 }]);
  });

  it.each([
    ['tunnel broke', 'reset'],
    ['agent stops', 'cut'],
  ])('sees at the destination that a flow failed when its %s, and leaves it to the source to tell', (why, outcome) => {
    const traffic = new FlowTraffic({ metrics: true });
    const { registry, records } = setup(undefined, undefined, traffic);
    const flow = opened(registry, { ...fromWeb, destinationHost: 'self' });
    flow.opened();
    if (outcome === 'cut') registry.stop(why);
    else {
      flow.sever();
      flow.end('reset', why);
    }
    expect(records).toMatchObject([{ outcome }]);
    expect(traffic.take(10).pairs).toMatchObject([{ opened: 1, failed: 0 }]);
    expect(traffic.series()).toMatchObject([{ reporter: 'destination', failed: { [outcome]: 1 } }]);
  });

  it('does not take what a program resets for a failure', () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { registry } = setup(undefined, undefined, traffic);
    const flow = opened(registry);
    flow.opened();
    flow.end('reset', 'reset by the caller');
    expect(traffic.take(10).pairs).toMatchObject([{ opened: 1, failed: 0 }]);
    expect(traffic.series()).toMatchObject([{ failed: {} }]);
  });

  it('counts what a peer makes up as the host that it is, and as no service', () => {
    const traffic = new FlowTraffic({ metrics: true });
    const { registry, records } = setup(undefined, undefined, traffic);
    for (let at = 0; at < 600; at++) {
      const made = { claimed: { source: `x${at}`, host: 'peer' }, destinationHost: 'self', identify: () => undefined };
      registry.open({ ...fromWeb, ...made, service: `y${at}` });
      registry.open({ ...fromWeb, destinationHost: 'self', service: `y${at}` });
    }
    expect(records[2]).toMatchObject({ source: 'x1', service: 'y1', rule: 'builtin:source' });
    expect(traffic.series()).toMatchObject([
      { source: 'host:peer', service: 'other', denied: 600 },
      { source: 'web', service: 'other', denied: 600 },
    ]);
    expect(traffic.take(10).pairs).toMatchObject([
      { source: 'host:peer', sourceHost: 'peer', service: 'other', destinationHost: 'self', denied: 600 },
      { source: 'web', sourceHost: 'peer', service: 'other', destinationHost: 'self', denied: 600 },
    ]);
  });

  it('tells of a flow that was taken back before anyone else could', () => {
    const traffic = new FlowTraffic();
    const { registry } = setup(undefined, undefined, traffic);
    const flow = opened(registry);
    flow.handOver();
    flow.sever();
    flow.end('unreachable');
    expect(traffic.take(10).pairs).toMatchObject([{ opened: 1, failed: 1, open: 0 }]);
  });

  it('cuts what a change denies before the change’s caller goes on, and once', () => {
    const { registry, records, swap } = setup();
    const flow = opened(registry);
    const cuts: string[] = [];
    // The resets that a cut causes come back as ends.
    flow.onCut((reason) => {
      cuts.push(reason);
      flow.end('reset', 'its own doing');
    });
    swap(netmap(2));
    expect(cuts).toEqual([]);
    swap(netmap(3, { rules: [DENY_WEB] }));
    expect(cuts).toHaveLength(1);
    swap(netmap(4, { rules: [DENY_WEB] }));
    expect(cuts).toHaveLength(1);
    expect(records).toMatchObject([{ outcome: 'cut', verdict: 'deny', rule: 'no-web', revision: 3, source: 'web' }]);
    // Who registers late is told at once.
    let late = '';
    flow.onCut((reason) => {
      late = reason;
    });
    expect(late).toBe(cuts[0]);
  });

  it('blames the rule, not the peer that left the netmap with its last permission', () => {
    const { registry, records, swap } = setup();
    opened(registry);
    opened(registry, { ...fromWeb, id: '00000000000000bb' });
    swap(netmap(2, { rules: [DENY_WEB], peers: new Map() }));
    expect(records.map(({ rule, source, sourceHost }) => ({ rule, source, sourceHost }))).toEqual([
      { rule: 'no-web', source: 'web', sourceHost: 'peer' },
      { rule: 'no-web', source: 'web', sourceHost: 'peer' },
    ]);
  });

  it('cuts what a host called by the names that it was called with, which are told as those of now', () => {
    const { registry, records, swap } = setup();
    const identify = (current: Netmap) => remoteCaller(current, 'p', { type: 'host' });
    opened(registry, { ...fromWeb, claimed: { source: 'host:peer', host: 'peer' }, identify });
    const renamed = new Map(Array.from(netmap(2).peers, ([id, peer]) => [id, { ...peer, host: 'vault' }] as const));
    const rules: Rule[] = [{ ...DENY_WEB, from: ['host:vault'] }];
    swap(netmap(2, { rules, peers: renamed }));
    expect(records).toMatchObject([{ outcome: 'cut', verdict: 'deny', source: 'host:peer', sourceHost: 'peer' }]);
    const recorder = new FlowRecorder();
    recorder.renamed('peer', 'vault');
    const told = records.map((record) => recorder.byNamesOfNow(record, record.startedMs));
    expect(told).toMatchObject([{ source: 'host:vault', sourceHost: 'vault' }]);
  });

  it('blames the peer when that alone is gone', () => {
    const { registry, records, swap } = setup();
    opened(registry, { ...fromWeb, peer: 'p' });
    swap(netmap(2, { peers: new Map() }));
    const detail = 'peer is no member of the network any more, or nothing may pass between it and this host';
    expect(records).toMatchObject([{ outcome: 'cut', verdict: 'deny', rule: 'builtin:source', revision: 2, detail }]);
  });

  it('takes the record back when nobody else is left to tell', () => {
    const { registry, records, swap } = setup();
    const flow = opened(registry);
    flow.reached('redis/0', 'there', () => ({ reason: 'there is gone', witness: 'here' }));
    flow.handOver();
    const other = opened(registry);
    other.reached('redis/1', 'elsewhere', () => ({ reason: 'moved', witness: 'destination' }));
    other.handOver();
    swap(netmap(2));
    expect(registry.live).toBe(0);
    expect(records).toMatchObject([{ outcome: 'cut', detail: 'there is gone', verdict: 'allow', instance: 'redis/0' }]);
  });

  it('records what it does not admit', () => {
    const { registry, records } = setup(1);
    opened(registry);
    expect(registry.open(fromWeb)).toMatchObject({ admitted: false, refusal: { code: 'overloaded' } });
    expect(registry.open({ ...fromWeb, port: 22 })).toMatchObject({ admitted: false, refusal: { code: 'denied' } });
    expect(records.map(({ outcome, rule }) => `${outcome} ${rule}`)).toEqual([
      'overloaded default',
      'denied builtin:undeclared-port',
    ]);
    expect(registry.live).toBe(1);
  });

  it('asks whether a flow is permitted before whether there is room for it', () => {
    const { registry, records } = setup();
    const full = 'no room for more clients';
    expect(registry.open({ ...fromWeb, full })).toMatchObject({ refusal: { code: 'overloaded', reason: full } });
    expect(registry.open({ ...fromWeb, full, port: 22 })).toMatchObject({ refusal: { code: 'denied' } });
    expect(records).toMatchObject([{ outcome: 'overloaded', detail: full, verdict: 'allow' }, { outcome: 'denied' }]);
  });

  it('cuts the rest when one fails to end, and says so', () => {
    const { registry, records, swap } = setup();
    opened(registry).onCut(() => {
      throw new Error('stuck');
    });
    let cut = '';
    opened(registry).onCut((reason) => {
      cut = reason;
    });
    expect(() => swap(netmap(2, { rules: [DENY_WEB] }))).toThrow(AggregateError);
    expect(cut).toContain('no-web');
    expect(records).toHaveLength(2);
    expect(registry.live).toBe(0);
  });

  it('cuts what cannot be judged, and what cannot be recorded, and says so', () => {
    const { registry, records, swap } = setup();
    const cut: string[] = [];
    const lost = () => {
      throw new Error('confused');
    };
    opened(registry, { ...fromWeb, lost }).onCut((reason) => cut.push(reason));
    expect(() => swap(netmap(2))).toThrow(AggregateError);
    expect(cut).toEqual(['it could not be judged by the policy of now']);
    records.push = () => {
      throw new Error('no room');
    };
    opened(registry).onCut((reason) => cut.push(reason));
    expect(() => swap(netmap(3, { rules: [DENY_WEB] }))).toThrow(AggregateError);
    expect(cut).toHaveLength(2);
  });

  it('lets no peer use up the room of the others', () => {
    const { registry } = setup(undefined, 2);
    const first = opened(registry, { ...fromWeb, peer: 'p' });
    opened(registry, { ...fromWeb, peer: 'p' });
    expect(registry.open({ ...fromWeb, peer: 'p' })).toMatchObject({
      admitted: false,
      refusal: { code: 'overloaded', reason: expect.stringContaining('2 flows of peer') },
    });
    opened(registry, { ...fromWeb, peer: 'q' });
    opened(registry);
    first.end('closed');
    first.end('closed');
    opened(registry, { ...fromWeb, peer: 'p' });
    expect(registry.open({ ...fromWeb, peer: 'p' }).admitted).toBe(false);
  });

  it('has all its room again for a peer whose flows have all ended', () => {
    const { registry } = setup(undefined, 1);
    for (let round = 0; round < 3; round++) opened(registry, { ...fromWeb, peer: 'p' }).end('closed');
    opened(registry, { ...fromWeb, peer: 'p' });
    expect(registry.open({ ...fromWeb, peer: 'p' }).admitted).toBe(false);
  });

  it('counts no flow of this agent’s own as a peer’s', () => {
    const { registry } = setup(undefined, 0);
    opened(registry);
    expect(registry.open({ ...fromWeb, peer: 'p' }).admitted).toBe(false);
  });

  it('leaves it to the source to record that a destination was too busy, and tells of a denial by its own name', () => {
    const { registry, records } = setup(0);
    const inbound = { ...fromWeb, destinationHost: 'build-3' };
    expect(registry.open(inbound)).toMatchObject({ admitted: false, refusal: { code: 'overloaded' } });
    expect(records).toEqual([]);
    expect(registry.open({ ...inbound, port: 22 })).toMatchObject({ admitted: false, refusal: { code: 'denied' } });
    expect(records).toMatchObject([{ outcome: 'denied', destinationHost: 'build-3', instance: '' }]);
  });

  it('cuts all when the agent stops, and takes no more', () => {
    const { registry, records } = setup();
    opened(registry);
    registry.stop('the agent stops');
    expect(records).toMatchObject([{ outcome: 'cut', detail: 'the agent stops' }]);
    expect(registry.open(fromWeb)).toMatchObject({
      admitted: false,
      refusal: { code: 'overloaded', reason: 'this agent stops' },
    });
  });
});
