import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { forged } from '../../testing/forged.ts';
import { Deadline } from '../bytes/deadline.ts';
import { Rig, until } from '../outbound/rig.fixture.ts';
import type { OpenRequest } from '../words/opening.ts';
import { HeldDatagrams } from './target-datagrams.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe('UDP flows that hold sockets', () => {
  const flow = (usedMs: number, closed: number[]) => {
    const one = { usedMs, close: () => void closed.push(usedMs) };
    return one;
  };

  it('make room by the longest idle of the service that has the most', () => {
    const held = new HeldDatagrams();
    const closed: number[] = [];
    const now = performance.now();
    for (const idle of [3_000, 9_000, 5_000]) held.add('statsd', flow(now - idle, closed));
    held.add('dns', flow(now - 60_000, closed));
    expect(held.makeRoom('dns')).toBe(true);
    expect(closed).toEqual([now - 9_000]);
  });

  it('make none for their own service while all are in use, and do for another', () => {
    const held = new HeldDatagrams();
    const closed: number[] = [];
    const now = performance.now();
    for (const idle of [10, 20]) held.add('statsd', flow(now - idle, closed));
    expect(held.makeRoom('statsd')).toBe(false);
    expect(held.makeRoom('dns')).toBe(true);
    expect(closed).toEqual([now - 20]);
  });
});

it('an agent that is short of files gives those of an idle UDP flow to who comes', async () => {
  const rig = await Rig.start({
    services: ['web', 'redis'].map((name) => ({
      name,
      kind: 'private',
      tags: [],
      ports: [{ first: 7_000, last: 7_000, protocol: 'udp' }],
    })),
    agents: [
      { host: 'a', runs: { web: { '7000/udp': 1 } } },
      { host: 'r', runs: { redis: { '7000/udp': 9 } } },
    ],
  });
  cleanups.push(() => rig.stop());
  // As the kernel has it: one file, which the second and the third find taken, and the third free once room was made.
  const free = [true, false, false, true];
  Object.assign(rig.agent('r').files, { spares: () => free.shift() === true, ranOut: () => undefined });
  const request: OpenRequest = {
    flowId: '0123456789abcdef',
    protocol: 'udp',
    service: 'redis',
    ordinal: 0,
    port: 7_000,
    source: { type: 'service', name: 'web' },
  };
  const open = () => rig.agent('a').tunnels.openDatagrams(...forged('r', request), new Deadline(9_000));
  const first = await open();
  if (!first.opened) throw new Error('refused');
  let closed = 0;
  first.conduit.attach({ datagram: () => undefined, closed: () => closed++ });
  expect(await open()).toMatchObject({ opened: false, refusal: { code: 'overloaded' } });
  await setTimeout(1_050);
  expect(await open()).toMatchObject({ opened: true });
  await until(() => closed === 1);
  expect(free).toEqual([]);
});
