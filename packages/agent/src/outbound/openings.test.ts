import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { FlowRecord } from '@weft/proto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type End, MESH, netmapAt, Opening, turn } from './openings.fixture.ts';
import { type MeshSpec, rule } from './rig.fixture.ts';

let client: Socket;
beforeAll(async () => {
  client = createSocket('udp4').bind(0, '127.0.0.1');
  await once(client, 'listening');
});
afterAll(() => client.close());

const openings: Opening[] = [];
// Deadlines and the silence after a cut pass when a test says so, and what is left of them can be counted.
beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  for (const opening of openings.splice(0)) opening.close();
  vi.useRealTimers();
});

async function begin(protocol: 'tcp' | 'udp'): Promise<Opening> {
  const opening = new Opening();
  openings.push(opening);
  await opening.begin(protocol, client);
  return opening;
}

/** Goes on to this await of the opening, by what was delivered so far, and so many microtasks into it. */
async function goTo(opening: Opening, delivered: number, microtasks: number): Promise<void> {
  for (let count = 0; count < delivered; count++) {
    if (count > 0) await turn();
    opening.deliver();
  }
  for (let count = 0; count < microtasks; count++) await undefined;
}

/** In order: the tunnel is made, the destination is asked, the target is dialled, the answer comes back, it is there. */
const DELIVERIES = 4;
/** More than lie between any delivery and the next wait. */
const MICROTASKS = 16;

it.each(['tcp', 'udp'] as const)(
  'an opening that nothing disturbs has the awaits that are gone through: %s',
  async (protocol) => {
    const opening = await begin(protocol);
    await goTo(opening, DELIVERIES, MICROTASKS);
    expect(opening.deliver()).toBe(false);
    await opening.deliverAll();
    expect({ ...opening.state, timers: 0 }).toEqual({
      live: 2,
      targets: 1,
      over: 0,
      unanswered: 0,
      received: 4,
      timers: 0,
    });
  },
);

const CHANGES: Readonly<Record<string, Partial<MeshSpec>>> = {
  'the rule changes': { rules: [rule('no-web', 'deny', 'web', 'redis')] },
  'the service is removed': { services: MESH.services.slice(1) },
  'the instance moves': {
    agents: [...MESH.agents.slice(0, 1), { host: 's', runs: { redis: {} } }, ...MESH.agents.slice(1)],
  },
  'the caller is revoked': { revoked: ['a'] },
  'the destination is revoked': { revoked: ['r'] },
  'the destination is kept apart': { apart: ['r'] },
};

/** Where the change comes first; the other end has it when all is still, or in the same moment. */
type First = End | 'both';
const NONE = 'no-instance: redis/0 runs on another host now';
const MOVED = 'cut: redis/0 runs on another host now';
const LOST = 'unreachable: the tunnel ended';
const LEFT = 'cut: the agent stops';
const GONE = 'reset: the agent stops';
const REVOKED =
  'cut: r was revoked and is no member of the network any more, or runs nothing more that this host may reach';
const APART = 'cut: nothing may pass between this host and r any more';
const PARTED = 'reset: no member any more';

describe.each<[change: string, first: First, told: readonly string[]]>([
  ['the rule changes', 'source', ['cut: no-web', 'cut: no-web', 'cut: no-web', 'cut: no-web', 'cut: no-web']],
  [
    'the rule changes',
    'destination',
    ['denied: no-web', 'denied: no-web', 'cut: no-web', 'cut: no-web', 'cut: no-web'],
  ],
  ['the rule changes', 'both', ['cut: no-web', 'denied: no-web', 'cut: no-web', 'cut: no-web', 'cut: no-web']],
  ['the service is removed', 'source', ['cut: S', 'cut: S', 'cut: S', 'cut: S', 'cut: S']],
  ['the service is removed', 'destination', ['denied: S', 'denied: S', 'cut: S', 'cut: S', 'cut: S']],
  ['the service is removed', 'both', ['cut: S', 'denied: S', 'cut: S', 'cut: S', 'cut: S']],
  ['the instance moves', 'source', [MOVED, MOVED, MOVED, MOVED, MOVED]],
  ['the instance moves', 'destination', [NONE, NONE, MOVED, MOVED, MOVED]],
  ['the instance moves', 'both', [NONE, NONE, MOVED, MOVED, MOVED]],
  // Nobody hears who was revoked, and until it was asked the destination knows of nothing.
  ['the caller is revoked', 'source', ['', '', PARTED, PARTED, PARTED]],
  [
    'the caller is revoked',
    'destination',
    ['', '', 'cut: builtin:source', 'cut: builtin:source', 'cut: builtin:source'],
  ],
  ['the caller is revoked', 'both', ['', '', 'cut: builtin:source', 'cut: builtin:source', 'cut: builtin:source']],
  ['the destination is revoked', 'source', [LOST, LOST, LOST, LOST, REVOKED]],
  ['the destination is revoked', 'destination', [LOST, LOST, LOST, LOST, PARTED]],
  ['the destination is revoked', 'both', [LOST, LOST, LOST, LOST, REVOKED]],
  ['the destination is kept apart', 'source', [LOST, LOST, LOST, LOST, APART]],
  ['the caller’s agent stops', 'source', [LEFT, LEFT, GONE, GONE, GONE]],
  ['the destination’s agent stops', 'destination', [LOST, LOST, LOST, `${LOST} | ${LEFT}`, LEFT]],
])('when %s, first at: %s', (change, first, told) => {
  const comesTo = (opening: Opening, end: End) => {
    const next = CHANGES[change];
    if (next !== undefined) opening[end].netmap.swap(netmapAt(end, { ...MESH, ...next }, 2));
    else if (first === end) opening.stop(end);
  };
  // Of one that is kept apart, what its caller says alone is looked at.
  const unheard = (CHANGES[change]?.revoked ?? CHANGES[change]?.apart)?.[0];
  const orders: readonly (readonly End[])[] =
    first === 'source'
      ? [['source', 'destination']]
      : first === 'destination'
        ? [['destination', 'source']]
        : [
            ['source', 'destination'],
            ['destination', 'source'],
          ];

  it.each(['tcp', 'udp'] as const)('no flow stands, and one record says why, at each await: %s', async (protocol) => {
    for (const [delivered, expected] of told.entries()) {
      for (let microtasks = 0; microtasks < MICROTASKS; microtasks++) {
        for (const [here, there] of orders) {
          const at = `${delivered} delivered, ${microtasks} microtasks in, first at the ${here}`;
          const opening = await begin(protocol);
          await goTo(opening, delivered, microtasks);
          comesTo(opening, here as End);
          if (first !== 'both') await opening.deliverAll();
          comesTo(opening, there as End);
          await opening.deliverAll();
          vi.advanceTimersByTime(2_500);
          await opening.deliverAll();
          const record = opening.heard(unheard).map(sentence).join(' + ');
          expect(expected.split(' | '), at).toContain(record);
          const { targets, received, ...left } = opening.state;
          expect({ ...left, timers: vi.getTimerCount(), ended: opening.ended }, at).toEqual({
            live: 0,
            over: targets,
            unanswered: 0,
            timers: 0,
            ended: protocol === 'tcp' ? 'reset' : undefined,
          });
          if (delivered < DELIVERIES) expect(received, at).toBe(0);
          expect(opening.failures, at).toEqual([]);
        }
      }
    }
  });
});

/** Of a denial the rule, of all else what happened. */
function sentence({ outcome, verdict, rule: by, detail }: FlowRecord): string {
  const why = verdict === 'deny' ? by.replace('builtin:no-such-service', 'S') : detail;
  return `${outcome}: ${why.replace(/^(reset by the \w+|redis\/0 on r): /, '')}`;
}
