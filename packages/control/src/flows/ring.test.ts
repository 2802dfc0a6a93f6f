import type { FlowFilter, FlowOutcome } from '@weft/proto';
import { expect, test } from 'vitest';
import { flow, flows } from './flow.fixture.ts';
import { createFlowWindow } from './memory-window.fixture.ts';

const NEVER = new AbortController().signal;

test('a watcher gets what ends after it came, in order, and nothing of another network', async () => {
  const window = createFlowWindow(100);
  window.add('prod', 'b', [flow(1)], 0);
  const end = new AbortController();
  // From the call on, and not from when the first is asked for.
  const watching = window.follow('prod', {}, end.signal);
  window.add('prod', 'b', [flow(2)], 0);
  window.add('other', 'b', [flow(99)], 0);
  window.add('prod', 'b', [flow(3), flow(4)], 0);
  const seen: number[][] = [];
  for await (const { record, missed, cursor } of watching) {
    seen.push([record.startedMs, missed, cursor]);
    if (seen.length === 3) end.abort();
  }
  expect(seen).toEqual([
    [2, 0, 2],
    [3, 0, 4],
    [4, 0, 5],
  ]);
});

test.each<{ filter: FlowFilter; missed: number }>([
  { filter: {}, missed: 8 },
  { filter: { verdict: 'deny' }, missed: 4 },
  { filter: { text: 'EVEN' }, missed: 4 },
])('a slow watcher is told exactly what it missed: $filter', async ({ filter, missed }) => {
  const window = createFlowWindow(4);
  const watcher = window.follow('prod', filter, NEVER)[Symbol.asyncIterator]();
  window.add('prod', 'b', [flow(0, { verdict: 'deny', detail: 'even' })], 0);
  expect(await watcher.next()).toMatchObject({ value: { missed: 0 } });
  for (let number = 1; number <= 12; number += 1) {
    const odd = number % 2 === 1;
    window.add('prod', 'b', [flow(number, { verdict: odd ? 'deny' : 'allow', detail: odd ? '' : 'even' })], 0);
  }
  const first = filter.text === undefined ? 9 : 10;
  expect(await watcher.next()).toMatchObject({ value: { record: { startedMs: first }, missed } });
  expect(await watcher.next()).toMatchObject({ value: { missed: 0 } });
});

test('a watcher that waits ends when its signal aborts', async () => {
  const window = createFlowWindow(4);
  const end = new AbortController();
  const waiting = window.follow('prod', {}, end.signal)[Symbol.asyncIterator]().next();
  end.abort();
  expect(await waiting).toMatchObject({ done: true });
});

test('a flow that both agents tell of stands once, in the words of its destination', async () => {
  const window = createFlowWindow(3);
  const told = (detail: string, change = {}) => flow(1, { detail, ...change });
  const details = async () =>
    (await window.query('prod', { filter: {}, limit: 10 }, NEVER)).flows.map(({ record }) => record.detail).reverse();
  window.add('prod', 'a', [told('by the source')], 0);
  window.add('prod', 'b', [told('by the destination')], 0);
  expect(await details()).toEqual(['by the destination']);
  window.add('prod', 'a', [told('by the source again')], 0);
  expect(await details()).toEqual(['by the destination']);
  // That it failed for its caller is the source's word.
  const gaveUp = { outcome: 'unanswered' as const };
  const outcomes = async () =>
    (await window.query('stage', { filter: {}, limit: 10 }, NEVER)).flows.map(({ record }) => record.outcome);
  for (const first of ['a', 'b']) {
    const id = first === 'a' ? '00000000000000aa' : '00000000000000bb';
    const records = { a: told('', { ...gaveUp, id }), b: told('', { outcome: 'reset', id, bytesSent: 7 }) };
    window.add('stage', first, [records[first === 'a' ? 'a' : 'b']], 0);
    window.add('stage', first === 'a' ? 'b' : 'a', [records[first === 'a' ? 'b' : 'a']], 0);
  }
  window.add('stage', 'b', [told('', { outcome: 'closed', id: '00000000000000cc' })], 0);
  window.add('stage', 'a', [told('', { ...gaveUp, id: '00000000000000cc' })], 0);
  expect(await outcomes()).toEqual(['unanswered', 'unanswered', 'unanswered']);
  // An id that another flow bears, by chance or on purpose, hides nothing.
  window.add('prod', 'c', [told('of other hosts', { destinationHost: 'c' })], 0);
  window.add('prod', 'b', [told('denied', { verdict: 'deny' })], 0);
  expect(await details()).toEqual(['by the destination', 'of other hosts', 'denied']);
  // What has left the ring is not known any more, and what was told anew stays known for as long as it is in it.
  window.add('prod', 'b', flows(2, 2), 0);
  window.add('prod', 'b', [told('denied again', { verdict: 'deny' })], 0);
  expect(await details()).toEqual(['by the destination', 'of other hosts', 'denied again', '']);
  window.add('prod', 'b', [...flows(3, 5), told('once more')], 0);
  expect((await details()).at(-1)).toBe('once more');
});

test('of a flow that was cut at its source first, and reset there for its destination, a denial that control knows of stands', async () => {
  const cut = {
    outcome: 'cut',
    verdict: 'deny',
    rule: 'no-web',
    revision: 9,
    detail: 'policy no-web denies it',
  } as const;
  const records = {
    a: flow(1, { ...cut, bytesSent: 1 }),
    b: flow(1, { outcome: 'reset', verdict: 'allow', bytesSent: 7 }),
  };
  for (const order of ['ab', 'ba', 'aba', 'bab'] as const) {
    for (const known of [true, false]) {
      const window = createFlowWindow(10, Date.now, (source, destination) => {
        expect([source.verdict, destination.verdict]).toEqual(['deny', 'allow']);
        return known;
      });
      for (const host of order as Iterable<string>) window.add('prod', host, [records[host as 'a' | 'b']], 0);
      const { flows: found } = await window.query('prod', { filter: {}, limit: 10 }, NEVER);
      // The newest tells: a verdict that differs stands beside the one that was told before.
      expect(found[0]?.record).toEqual(known ? { ...records.b, ...cut } : records.b);
    }
  }
});

test.each<[source: FlowOutcome, destination: FlowOutcome, kept: 'source' | 'destination']>([
  ['unreachable', 'closed', 'source'],
  ['unreachable', 'reset', 'source'],
  ['overloaded', 'reset', 'source'],
  ['no-instance', 'closed', 'source'],
  ['unanswered', 'reset', 'source'],
  // Its own failure and what was decided there tell more than that no answer came.
  ['unreachable', 'not-listening', 'destination'],
  ['unreachable', 'denied', 'destination'],
  ['unreachable', 'cut', 'destination'],
  ['reset', 'closed', 'destination'],
  ['cut', 'reset', 'destination'],
])('of a flow that is %s for its source and %s for its destination the outcome is that of the %s', async (...told) => {
  const [source, destination, kept] = told;
  const records = {
    a: flow(1, { outcome: source, detail: 'no answer within 4500 ms', durationMs: 4_500, instance: '' }),
    b: flow(1, {
      outcome: destination,
      detail: 'reset by the caller',
      verdict: destination === 'denied' ? 'deny' : 'allow',
      bytesSent: 7,
      bytesReceived: 9,
    }),
  };
  const { outcome, detail } = records[kept === 'source' ? 'a' : 'b'];
  for (const order of ['ab', 'ba', 'aba', 'bab'] as const) {
    const window = createFlowWindow(10);
    for (const host of order as Iterable<string>) window.add('prod', host, [records[host as 'a' | 'b']], 0);
    const { flows: found } = await window.query('prod', { filter: { verdict: records.b.verdict }, limit: 10 }, NEVER);
    expect(found.map(({ record }) => record)).toEqual([{ ...records.b, outcome, detail }]);
  }
});

test('tells users of who called, of the network and of the newest alone', () => {
  const window = createFlowWindow(2);
  expect([...window.users('prod')]).toEqual([]);
  window.add('other', 'b', [flow(9, { user: 'elsewhere' })], 0);
  window.add('prod', 'b', [flow(1, { user: 'first' }), flow(2, { user: '' }), flow(3, { user: 'jobs' })], 0);
  expect([...window.users('prod')]).toEqual(['jobs']);
});
