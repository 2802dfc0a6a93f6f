import { defined, type PairTraffic, type Telemetry } from '@weft/proto';
import { expect, test } from 'vitest';
import { createTraffic } from './traffic.ts';
import type { Traffic } from './types.ts';

const START = 1_700_000_000_000;

function setUp(mostPairs?: number): { readonly traffic: Traffic; readonly pass: (ms: number) => void } {
  let now = START;
  const traffic = createTraffic({ now: () => now, ...defined({ mostPairs }) });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { traffic, pass };
}

/** `web@one redis@two`; a place without a name is where no instance was reached. */
function pair(words: string, more: Partial<PairTraffic> = {}): PairTraffic {
  const [source = '', sourceHost = '', service = '', destinationHost = ''] = words.split(/[@ ]/);
  const counts = { open: 0, opened: 0, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
  return { source, sourceHost, service, destinationHost, ...counts, ...more };
}

function telemetry(pairs: readonly PairTraffic[], more: Partial<Telemetry> = {}): Telemetry {
  return {
    sentMs: 1,
    intervalMs: 5_000,
    pairs,
    pairsOmitted: 0,
    peers: [],
    loopDelayUs: 0,
    flowsQueued: 0,
    recordsLost: 0,
    ...more,
  };
}

const denied = { port: 6379, protocol: 'tcp', rule: 'no-web', revision: 7 } as const;
const named = (traffic: Traffic): string[] =>
  traffic.list('prod').map((told) => `${told.source}@${told.sourceHost} ${told.service}@${told.destinationHost}`);

test('counts of an interval become rates, and what both ends tell of a pair is added up', () => {
  const { traffic } = setUp();
  const told = { open: 2, opened: 10, denied: 5, failed: 1, bytesSent: 50_000, bytesReceived: 500 };
  traffic.take('prod', 'one', telemetry([pair('web@one redis@two', told)]));
  traffic.take('prod', 'two', telemetry([pair('web@one redis@two', { open: 1, opened: 3 })], { intervalMs: 3_000 }));
  expect(traffic.list('prod')).toEqual([
    {
      source: 'web',
      sourceHost: 'one',
      service: 'redis',
      destinationHost: 'two',
      open: 3,
      openedPerSecond: 3,
      deniedPerSecond: 1,
      failedPerSecond: 0.2,
      sentPerSecond: 10_000,
      receivedPerSecond: 100,
    },
  ]);
  expect(traffic.list('other')).toEqual([]);
});

test('an agent tells of pairs that touch its own host, and of no others', () => {
  const { traffic } = setUp();
  const pairs = ['web@one redis@two', 'web@two redis@one', 'web@two redis@three', 'web@two nobody@'];
  traffic.take('prod', 'one', telemetry(pairs.map((words) => pair(words, { open: 1 }))));
  expect(named(traffic)).toEqual(['web@one redis@two', 'web@two redis@one']);
});

test('each telemetry replaces the one before', () => {
  const { traffic } = setUp();
  traffic.take('prod', 'one', telemetry([pair('a@one b@two', { open: 1 }), pair('a@one c@two', { open: 1 })]));
  traffic.take('prod', 'one', telemetry([pair('a@one c@two', { open: 4 })]));
  expect(traffic.list('prod')).toMatchObject([{ service: 'c', open: 4 }]);
});

test('the list is sorted, and the same object until something differs', () => {
  const { traffic, pass } = setUp();
  const told = telemetry([pair('b@one x@two', { open: 1 }), pair('a@one y@two', { open: 1 }), pair('a@one x@two')]);
  traffic.take('prod', 'one', told);
  const listed = traffic.list('prod');
  expect(named(traffic)).toEqual(['a@one x@two', 'a@one y@two', 'b@one x@two']);
  pass(5_000);
  traffic.take('prod', 'one', told);
  traffic.take('prod', 'idle', telemetry([]));
  expect(traffic.list('prod')).toBe(listed);
  pass(5_000);
  traffic.take('prod', 'one', telemetry([...told.pairs.slice(0, 2), pair('a@one x@two', { open: 9 })]));
  const next = traffic.list('prod');
  expect(next[0]).toMatchObject({ open: 9 });
  expect([next[1] === listed[1], next[2] === listed[2]]).toEqual([true, true]);
});

test('an agent that goes away takes its pairs with it, and leaves those that the other end tells', () => {
  const { traffic } = setUp();
  traffic.take('prod', 'one', telemetry([pair('a@one b@two', { open: 1 }), pair('a@one c@three', { open: 1 })]));
  traffic.take('prod', 'two', telemetry([pair('a@one b@two', { open: 5 })]));
  traffic.forget('prod', 'one');
  expect(traffic.list('prod')).toMatchObject([{ service: 'b', open: 5 }]);
  traffic.forget('prod', 'two');
  expect(traffic.list('prod')).toEqual([]);
});

test('a denial stays for five minutes, whether its agent says more, says nothing or goes away', () => {
  const { traffic, pass } = setUp();
  traffic.take('prod', 'one', telemetry([pair('web@one redis@', { denied: 5, lastDenied: denied })]));
  expect(traffic.list('prod')).toMatchObject([{ deniedPerSecond: 1, lastDenied: { ...denied, atMs: START } }]);
  pass(5_000);
  traffic.take('prod', 'one', telemetry([]));
  const quiet = { deniedPerSecond: 0, lastDenied: { ...denied, atMs: START } };
  expect(traffic.list('prod')).toMatchObject([quiet]);
  traffic.forget('prod', 'one');
  pass(294_000);
  expect(traffic.list('prod')).toMatchObject([quiet]);
  pass(2_000);
  expect(traffic.list('prod')).toEqual([]);
});

test('a denial that is over leaves the pair that still moves', () => {
  const { traffic, pass } = setUp();
  traffic.take('prod', 'one', telemetry([pair('web@one redis@two', { open: 1, denied: 1, lastDenied: denied })]));
  for (let minute = 0; minute < 61; minute += 1) {
    pass(5_000);
    traffic.take('prod', 'one', telemetry([pair('web@one redis@two', { open: 1 })]));
  }
  expect(traffic.list('prod')).toHaveLength(1);
  expect(traffic.list('prod')[0]).not.toHaveProperty('lastDenied');
});

test('of an agent that says nothing for 20 s only what was open is still shown, and nothing of it moves', () => {
  const { traffic, pass } = setUp();
  const pairs = [pair('a@one b@two', { open: 1, opened: 5, bytesSent: 10 }), pair('a@one c@two', { opened: 5 })];
  traffic.take('prod', 'one', telemetry(pairs, { pairsOmitted: 3 }));
  pass(20_000);
  expect(traffic.list('prod')).toHaveLength(2);
  pass(1_000);
  expect(traffic.list('prod')).toMatchObject([{ service: 'b', open: 1, openedPerSecond: 0, sentPerSecond: 0 }]);
  expect(traffic.omitted('prod')).toBe(0);
  traffic.take('prod', 'one', telemetry(pairs));
  expect(traffic.list('prod')).toMatchObject([{ openedPerSecond: 1 }, { openedPerSecond: 1 }]);
});

test('pairs are bounded, and those left out are counted with those that agents left out', () => {
  const { traffic } = setUp(2);
  const pairs = ['a@one b@two', 'a@one c@two', 'a@one d@two'].map((words) => pair(words, { open: 1 }));
  traffic.take('prod', 'one', telemetry(pairs, { pairsOmitted: 10 }));
  traffic.take('prod', 'three', telemetry([pair('a@three b@two')]));
  expect(named(traffic)).toEqual(['a@one b@two', 'a@one c@two']);
  expect(traffic.omitted('prod')).toBe(12);
  traffic.forget('prod', 'one');
  expect(traffic.omitted('prod')).toBe(1);
  traffic.take('prod', 'three', telemetry([pair('a@three b@two')]));
  expect([named(traffic), traffic.omitted('prod')]).toEqual([['a@three b@two'], 0]);
});

test('names that an agent makes up are denied and forgotten, the oldest first', () => {
  const { traffic, pass } = setUp();
  for (const round of [0, 1]) {
    const pairs = Array.from({ length: 900 }, (_, index) =>
      pair(`a@one x${round}-${index}@`, { denied: 1, lastDenied: denied }),
    );
    traffic.take('prod', 'one', telemetry(pairs));
    pass(5_000);
  }
  traffic.take('prod', 'one', telemetry([]));
  const left = traffic.list('prod').map(({ service }) => service);
  expect(left).toHaveLength(1_000);
  expect(left.filter((service) => service.startsWith('x1'))).toHaveLength(900);
});
