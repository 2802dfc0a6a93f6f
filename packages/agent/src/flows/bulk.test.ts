import { expect, test } from 'vitest';
import { BulkWatch } from './bulk.ts';
import { netmap } from './flows.fixture.ts';
import { remoteCaller } from './judge.ts';
import { FlowRegistry } from './registry.ts';

const MIB = 2 ** 20;

/** A flow beside one that rests, and a clock. */
function watched() {
  const life = new AbortController();
  let now = 0;
  const told: number[] = [];
  const current = netmap(1);
  const registry = new FlowRegistry({
    netmap: { current, staleSinceMs: undefined, subscribe: () => {} },
    sink: { record: () => {} },
  });
  const [flow] = [1, 2].map(() => {
    const admission = registry.open({
      ...{ id: '00000000000000aa', protocol: 'tcp', service: 'redis', port: 6379 },
      claimed: { source: 'web', host: 'peer' },
      identify: (known) => remoteCaller(known, 'p', { type: 'service', name: 'web' }),
    });
    if (!admission.admitted) throw new Error(admission.refusal.reason);
    return admission.flow;
  });
  const watch = new BulkWatch(
    registry,
    life.signal,
    () => told.push(watch.flows),
    () => now,
  );
  life.abort();
  const after = (elapsed: number, bytes: number): number => {
    now += elapsed;
    if (flow !== undefined) flow.bytesReceived += bytes;
    watch.look();
    return watch.flows;
  };
  return { after, told };
}

test('a flow is bulk from 16 MiB at its pace on until it rests for some seconds, however often it is looked at', () => {
  const { after, told } = watched();
  // Of a small flow, and of one that has only begun.
  expect(after(1_000, 3 * MIB)).toBe(0);
  expect(after(50, 8 * MIB)).toBe(0);
  expect(after(150, 0)).toBe(0);
  // It goes on: the next look is soon.
  expect(after(40, 9 * MIB)).toBe(0);
  expect(after(10, 0)).toBe(1);
  expect(after(50, 0)).toBe(1);
  expect(after(150, 0)).toBe(1);
  expect(after(2_750, 0)).toBe(1);
  expect(after(200, 0)).toBe(0);
  // Slow, and it keeps on.
  for (const flows of [0, 0, 0, 1, 1]) expect(after(1_000, 4 * MIB)).toBe(flows);
  expect(told).toEqual([1, 0, 1]);
});

test('answers of a few MiB each, with a rest between them, are none', () => {
  const { after, told } = watched();
  for (let answer = 0; answer < 20; answer++) {
    // In two looks, of which each by itself finds it at its pace.
    after(1_000, 4 * MIB);
    after(200, 2 * MIB);
    after(1_000, 0);
  }
  expect(told).toEqual([]);
});
