/**
 * What a flow stands on may go at any moment of its opening. Each change is made at each of its steps and so many turns of the
 * microtask queue after, which is every place where either end awaits something; on both ends, or on one that hears first.
 */
import net from 'node:net';
import type { FlowRecord } from '@weft/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MeshSpec, program, Rig, rule, service, until } from './rig.fixture.ts';

const PORT = 16_383;
const SERVICES = [service('redis', 'private', PORT), service('web', 'web', 13_000)];
const MESH: MeshSpec = { services: SERVICES, agents: [], rules: [], revoked: [] };
/** More than any chain of awaits between two steps. */
const TURNS = 12;
const STEPS = ['asked', 'dialled', 'answered'] as const;
const ENDS = ['both', 'source', 'destination'] as const;

interface Change {
  readonly name: string;
  /** What the agent on this end hears. */
  readonly mesh: (end: 'source' | 'destination') => Partial<MeshSpec>;
  /** How the flow may end, besides the reset that a destination sees which has not heard. */
  readonly outcomes: readonly string[];
  /** The rule that the record names, where the policy decides. */
  readonly rule?: string;
}

let redis: Awaited<ReturnType<typeof program>>;
const accepted = new Set<net.Socket>();
let onDialled: () => void = () => undefined;
let rig: Rig;

beforeAll(async () => {
  redis = await program((socket) => {
    accepted.add(socket);
    socket.on('close', () => accepted.delete(socket)).on('error', () => undefined);
    socket.pipe(socket);
    onDialled();
  });
  rig = await Rig.start({ ...MESH, agents: hosts('r') });
});
afterAll(() => {
  rig.stop();
  redis.close();
});

/** redis/0 on the host that is named. */
function hosts(runner: 'r' | 's'): MeshSpec['agents'] {
  const runs = { redis: { [`${PORT}/tcp`]: redis.port } };
  return ['a', 'r', 's'].map((host) => {
    if (host === 'a') return { host, runs: { web: { '13000/tcp': 1 } } };
    return { host, runs: host === runner ? runs : {} };
  });
}

const CHANGES: readonly Change[] = [
  {
    name: 'a rule denies it',
    mesh: () => ({ rules: [rule('no-redis', 'deny', 'web', 'redis')] }),
    outcomes: ['denied', 'cut'],
    rule: 'no-redis',
  },
  { name: 'its instance moved', mesh: () => ({ agents: hosts('s') }), outcomes: ['cut', 'no-instance'] },
  {
    name: 'its peer is revoked',
    mesh: (end) => ({ revoked: [end === 'source' ? 'r' : 'a'] }),
    outcomes: ['cut', 'unreachable'],
  },
  {
    name: 'its service is gone',
    mesh: () => ({ services: SERVICES.slice(1) }),
    outcomes: ['cut', 'denied'],
    rule: 'builtin:no-such-service',
  },
];

function recorded(): ReadonlyMap<string, number> {
  return new Map([...rig.agents].map(([host, { recorder }]) => [host, recorder.counters.recorded]));
}
const HOSTS = [
  ['source', 'a'],
  ['destination', 'r'],
] as const;

/** At the ends that hear of it. */
function at(on: (typeof ENDS)[number], act: (end: 'source' | 'destination', host: string) => void): void {
  for (const [end, host] of HOSTS) if (on === 'both' || on === end) act(end, host);
}

/** Told since, by all agents. */
function since(before: ReadonlyMap<string, number>): readonly FlowRecord[] {
  return [...rig.agents].flatMap(([host, { recorder }]) => {
    const more = recorder.counters.recorded - (before.get(host) ?? 0);
    return more === 0 ? [] : recorder.recent().slice(-more);
  });
}

/** Makes a call, and does this at the step and so many turns after. */
async function callWith(step: (typeof STEPS)[number], turns: number, act: () => void): Promise<net.Socket> {
  let done = false;
  const reached = (now: string): void => {
    if (done || now !== step) return;
    done = true;
    let left = turns;
    const turn = (): void => {
      left -= 1;
      if (left < 0) act();
      else queueMicrotask(turn);
    };
    turn();
  };
  rig.onStep = reached;
  onDialled = () => reached('dialled');
  const client = net.connect({ host: rig.vip('a', 'redis', SERVICES), port: PORT });
  client.on('error', () => undefined);
  client.write('before');
  const over = new Promise((resolve) => client.on('close', resolve));
  client.resume();
  await over;
  return client;
}

describe.each(CHANGES)('where $name', (made) => {
  describe.each(ENDS)('and this is heard at: %s', (end) => {
    it.each(STEPS)('once it is %s, the call is reset, recorded once, and leaves nothing', async (step) => {
      for (let turns = 0; turns <= TURNS; turns++) {
        const before = recorded();
        await callWith(step, turns, () => at(end, (which, host) => rig.change(made.mesh(which), host)));
        await until(() => rig.live === 0 && accepted.size === 0);
        const told = since(before);
        const what = `${turns} turns after: ${JSON.stringify(told)}`;
        // Both may tell where neither knows whether the other can: control keeps one a flow, the destination's.
        expect(new Set(told.map(({ id }) => id)).size, what).toBe(1);
        expect(told.length, what).toBeLessThanOrEqual(2);
        const allowed = end === 'source' ? [...made.outcomes, 'reset'] : made.outcomes;
        for (const { outcome, rule: by } of told) {
          expect(allowed, what).toContain(outcome);
          if (made.rule !== undefined && outcome !== 'reset') expect(by, what).toBe(made.rule);
        }
        rig.change({ ...MESH, agents: hosts('r') });
        await rig.agent('a').outbound.settled();
      }
    });
  });
});

describe.each(ENDS)('where the agent stops: %s', (end) => {
  it.each(STEPS)('once it is %s, the call is reset, recorded once, and leaves nothing', async (step) => {
    const running = rig;
    for (const turns of [0, 1, 2, 4, 8, TURNS]) {
      rig = await Rig.start({ ...MESH, agents: hosts('r') });
      const before = recorded();
      await callWith(step, turns, () => at(end, (_end, host) => rig.agent(host).registry.stop('the agent stops')));
      await until(() => rig.live === 0 && accepted.size === 0);
      const told = since(before);
      const what = `${turns} turns after: ${JSON.stringify(told)}`;
      expect(new Set(told.map(({ id }) => id)).size, what).toBe(1);
      for (const { outcome } of told)
        expect(['cut', 'overloaded', ...(end === 'source' ? ['reset'] : [])], what).toContain(outcome);
      rig.stop();
    }
    rig = running;
  });
});
