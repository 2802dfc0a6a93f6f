import { defined } from '@weft/proto';
import { afterEach, expect, it } from 'vitest';
import { Deadline } from '../bytes/deadline.ts';
import { UnansweredError, UnreachableError } from '../tunnel/errors.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { CallerConduit, Conduit } from '../words/conduit.ts';
import type { EarlyData } from '../words/opening.ts';
import { UNKNOWN_OWNER } from '../words/owner.ts';
import { Chooser } from './choose.ts';
import { Admitter, Forwarder, type OutboundFlow } from './forward.ts';
import { Rig, service } from './rig.fixture.ts';
import { carryStream } from './streams.ts';

const PORT = 16_381;

let rig: Rig | undefined;
afterEach(() => rig?.stop());

const never = () => Promise.reject(new Error('not asked for'));

/** An agent whose calls of redis go to another host, which has the one instance. */
async function nearOfFar() {
  const agents = [{ host: 'near' }, { host: 'far', runs: { redis: { [`${PORT}/tcp`]: 1 } } }];
  rig = await Rig.start({ services: [service('redis', 'private', PORT)], agents });
  return rig.agent('near');
}

type Made = ReturnType<Rig['agent']>;

const CALL = { service: 'redis', ordinal: undefined, port: PORT, protocol: 'tcp' } as const;

/** As the agent's own, but for what opens streams at peers; to nobody else there is a way. */
function forwarderBy({ netmap, inbound }: Made, openStream: Tunnels['openStream'], totalMs?: number): Forwarder {
  return new Forwarder({
    netmap,
    declared: inbound.services,
    tunnels: { openStream, openDatagrams: never },
    dialer: { stream: never, datagrams: never },
    chooser: new Chooser({ listening: () => true }, { promising: () => true }),
    ...defined({ totalMs }),
  });
}

/** A call of the host's that is permitted here. */
function admitted({ netmap, registry, inbound }: Made): OutboundFlow {
  const local = new Admitter({ netmap, registry, declared: inbound.services }).local(CALL, { claim: { type: 'host' } });
  if (!local.admitted) throw new Error(local.refusal.reason);
  return local.out;
}

it('lets no flow stand on an instance that a change took away while it was opened', async () => {
  const agents = [{ host: 'r', runs: { redis: { [`${PORT}/tcp`]: 1 } } }];
  const started = await Rig.start({ services: [service('redis', 'private', PORT)], agents });
  rig = started;
  const { netmap, registry, inbound, tunnels, recorder } = started.agent('r');
  const declared = inbound.services;
  let resets = 0;
  const nothing = (): void => undefined;
  const conduit: Conduit = {
    attach: nothing,
    write: () => true,
    end: nothing,
    reset: () => {
      resets += 1;
    },
    resetWhenWritten: nothing,
    pause: nothing,
    resume: nothing,
  };
  const forwarder = new Forwarder({
    netmap,
    declared,
    tunnels,
    dialer: {
      stream: () => {
        // Control takes the service from this host; the policy still permits the flow.
        started.change({ agents: [{ host: 'r', runs: {} }] });
        return Promise.resolve({ opened: true, conduit });
      },
      datagrams: never,
    },
    chooser: new Chooser({ listening: () => true }, { promising: () => true }),
  });
  const local = new Admitter({ netmap, registry, declared: new Set<string>() }).local(CALL, {
    claim: { type: 'host' },
  });
  if (!local.admitted) throw new Error(local.refusal.reason);
  expect(await forwarder.stream(local.out)).toBeUndefined();
  expect(resets).toBe(1);
  expect(registry.live).toBe(0);
  expect(recorder.recent()).toEqual(
    expect.arrayContaining([expect.objectContaining({ outcome: 'cut', verdict: 'allow', instance: 'redis/0' })]),
  );
});

it('leaves the record to a destination that took the flow in the turn in which its caller gave up', async () => {
  const near = await nearOfFar();
  const { registry, recorder, traffic } = near;
  const gone = new Deadline(9_000);
  let resets = 0;
  const conduit = { reset: () => void resets++ } as unknown as Conduit;
  const forwarder = forwarderBy(near, () => {
    gone.end(new Error('gone'));
    return Promise.resolve({ opened: true, conduit });
  });
  const out = admitted(near);
  expect(await forwarder.stream(out, gone)).toBeUndefined();
  expect({ resets, live: registry.live, outcome: out.flow.outcome }).toEqual({
    resets: 1,
    live: 0,
    outcome: 'reset',
  });
  expect(recorder.recent()).toEqual([]);
  expect(traffic.take(9).pairs).toEqual([]);
});

it('says what became of a flow for which no time was left', async () => {
  const near = await nearOfFar();
  const { recorder } = near;
  const forwarder = forwarderBy(near, never, 0);
  const gone = new Deadline(9_000);
  gone.end(new Error('gone'));
  for (const caller of [gone, undefined]) {
    expect(await forwarder.stream(admitted(near), caller)).toBeUndefined();
  }
  expect(recorder.recent().map(({ outcome, detail }) => [outcome, detail])).toEqual(
    expect.arrayContaining([
      ['reset', 'the caller gave up'],
      ['unreachable', 'no time was left to reach an instance'],
    ]),
  );
});

it('has no more time to reach an instance than its caller was promised, of which the look for who calls took some', async () => {
  const near = await nearOfFar();
  const { netmap, registry, inbound } = near;
  const left: number[] = [];
  const openStream = (_permit: unknown, _target: unknown, { remaining }: Deadline) => {
    left.push(remaining);
    return Promise.reject(new Error('not reached'));
  };
  const forwarder = forwarderBy(near, openStream, 60_000);
  const parts = { admitter: new Admitter({ netmap, registry, declared: inbound.services }), forwarder };
  let resets = 0;
  const client = { connected: true, reset: () => void resets++ } as unknown as CallerConduit;
  const speaker = { claim: { type: 'host' } } as const;
  await carryStream(client, CALL, parts, speaker);
  await carryStream(client, CALL, parts, new Promise((resolve) => setTimeout(() => resolve(speaker), 20)));
  const [atOnce = 0, looked = 0] = left;
  expect(atOnce).toBeGreaterThan(30_000);
  expect(looked).toBeLessThanOrEqual(59_900);
  expect(looked).toBeGreaterThan(30_000);
  expect(resets).toBe(2);
});

it('tells that who calls has left, where the call was reset before, has no room, or is brought nowhere', async () => {
  const near = await nearOfFar();
  const { netmap, registry, inbound } = near;
  const forwarder = forwarderBy(near, () => Promise.reject(new Error('not reached')), 60_000);
  const parts = { admitter: new Admitter({ netmap, registry, declared: inbound.services }), forwarder };
  const told: string[] = [];
  const speaker = { claim: { type: 'host' }, owner: UNKNOWN_OWNER, left: () => told.push('left') } as const;
  const client = (connected: boolean) => ({ connected, reset: () => told.push('reset') }) as unknown as CallerConduit;
  for (const [connected, full] of [[false], [true, 'no room'], [true]] as const) {
    await carryStream(client(connected), CALL, parts, speaker, full);
    expect(told.splice(0)).toEqual(['reset', 'left']);
  }
});

it.each([
  ['reset', 'the tunnel ended', 'lost'],
  ['unreachable', 'redis/0 on far: no answer in time', 'silent'],
  ['unanswered', 'redis/0 on far: no answer in time', 'slow'],
] as const)('tells what was said behind an opening without an answer: %s', async (outcome, detail, why) => {
  const near = await nearOfFar();
  const { recorder } = near;
  const forwarder = forwarderBy(near, () =>
    Promise.reject(new UnansweredError(why === 'lost' ? detail : 'no answer in time', 11, why)),
  );
  expect(await forwarder.stream(admitted(near))).toBeUndefined();
  expect(recorder.recent()).toMatchObject([{ outcome, bytesSent: 11, instance: 'redis/0' }]);
  expect(recorder.recent()[0]?.detail).toContain(detail);
});

it('gives what the caller says to the last instance alone, and has it whole where the first was silent', async () => {
  const runs = { redis: { [`${PORT}/tcp`]: 1 } };
  const agents = [{ host: 'near' }, { host: 'far', runs }, { host: 'further', runs }];
  rig = await Rig.start({ services: [service('redis', 'private', PORT)], agents });
  const near = rig.agent('near');
  const said: EarlyData = { follow: (take) => take(Buffer.from('once')), leave: () => undefined };
  const given: (EarlyData | undefined)[] = [];
  const conduit = { reset: () => undefined } as unknown as Conduit;
  const forwarder = forwarderBy(near, (_permit, _target, _deadline, data) => {
    given.push(data);
    if (given.length === 1) return Promise.reject(new UnreachableError('timeout', 'no answer in time'));
    return Promise.resolve({ opened: true, conduit, early: 4 });
  });
  expect(await forwarder.stream(admitted(near), undefined, said)).toMatchObject({ early: 4 });
  expect(given).toEqual([undefined, said]);
});

it('tells of a host without a file for a tunnel as overloaded', async () => {
  const near = await nearOfFar();
  const { recorder } = near;
  const forwarder = forwarderBy(near, () => Promise.reject(new UnreachableError('no-file', 'no tunnel to far')));
  expect(await forwarder.stream(admitted(near))).toBeUndefined();
  expect(recorder.recent()).toMatchObject([{ outcome: 'overloaded', detail: 'redis/0 on far: no tunnel to far' }]);
});
