import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowFilter } from '@weft/proto';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { flow, flows } from './flow.fixture.ts';
import { createFlowWindow } from './memory-window.fixture.ts';
import type { FlowWindow } from './types.ts';
import { type FlowWatchQuery, type WatchStep, watchOf } from './watch.ts';
import { openFlowWindow } from './window.ts';

const NEVER = new AbortController().signal;
const root = mkdtempSync(join(tmpdir(), 'weft-watch-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Reads steps until `most` flows came, and ends the watch. */
async function watched(window: FlowWindow, query: Partial<FlowWatchQuery>, most: number) {
  const steps: WatchStep[] = [];
  const numbers = () => steps.flatMap(({ flow: told }) => told?.startedMs ?? []);
  for await (const step of watchOf(window, 'prod', { filter: {}, past: 0, ...query }, () => true, NEVER)) {
    steps.push(step);
    if (numbers().length >= most) break;
  }
  return { steps, numbers: numbers(), place: steps.at(-1)?.cursor ?? -1 };
}

test('a watch begins with the past, tells where it is, and goes on with what comes', async () => {
  const window = createFlowWindow();
  window.add('prod', 'b', flows(1, 3), 0);
  const watching = watched(window, { past: 2 }, 4);
  await new Promise((resolve) => setImmediate(resolve));
  window.add('prod', 'b', flows(4, 5), 0);
  const { steps, numbers } = await watching;
  expect(numbers).toEqual([2, 3, 4, 5]);
  expect(steps[2]).toEqual({ cursor: 3 });
});

test('a watch that goes on in a network which was removed meanwhile ends', async () => {
  const window = createFlowWindow();
  window.add('prod', 'b', flows(1, 3), 0);
  const steps: WatchStep[] = [];
  const query = { filter: {}, past: 0, resume: 0 };
  for await (const step of watchOf(window, 'prod', query, () => false, NEVER)) steps.push(step);
  expect(steps).toEqual([{ cursor: 0, gap: false }]);
});

test('over restarts a watch goes on where it was, with what ended in between, each once', async () => {
  const directory = join(root, 'restarts');
  const open = () => openFlowWindow({ directory, logger: pino({ level: 'silent' }), now: Date.now });
  let window = await open();
  const begun = await watched(window, {}, 0);
  expect(begun.steps).toEqual([{ cursor: 0 }]);
  window.add('prod', 'b', flows(1, 20), 0);
  const first = await watched(window, { resume: begun.place }, 7);
  expect([first.numbers, first.steps[0]]).toEqual([[1, 2, 3, 4, 5, 6, 7], { cursor: 0, gap: false }]);
  await window.close();

  window = await open();
  window.add('dev', 'b', flows(50, 60), 0);
  window.add('prod', 'b', flows(21, 25), 0);
  const second = await watched(window, { resume: first.place }, 14);
  expect(second.numbers).toEqual([8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
  expect(second.steps[0]).toMatchObject({ gap: false });
  await window.close();

  window = await open();
  const third = watched(window, { resume: second.place }, 6);
  await new Promise((resolve) => setTimeout(resolve, 50));
  window.add('prod', 'b', [flow(26), flow(27)], 0);
  expect((await third).numbers).toEqual([22, 23, 24, 25, 26, 27]);

  // Of data that was put back from an older copy: what was there is not known.
  const lost = watched(window, { resume: window.last + 1_000 }, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  window.add('prod', 'b', [flow(28)], 0);
  expect(await lost).toMatchObject({ numbers: [28], steps: [{ gap: true }, {}] });
  await window.close();
});

test('much that ended meanwhile is read in stretches, whatever of it is asked for, while more comes', async () => {
  const window = createFlowWindow();
  const asked: number[] = [];
  const counting: FlowWindow = {
    ...window,
    get last() {
      return window.last;
    },
    query: async (network, query, signal) => {
      const found = await window.query(network, query, signal);
      asked.push(found.flows.length);
      // Somebody else is busy, too.
      if (window.last < 30_000) window.add('dev', 'b', flows(window.last + 100_000, window.last + 100_500), 0);
      return found;
    },
  };
  window.add('prod', 'b', flows(1, 6_000), 0);
  window.add('dev', 'b', flows(6_001, 20_000), 0);
  window.add('prod', 'b', flows(20_001, 20_100, { service: 'rare' }), 0);
  const all = await watched(counting, { resume: 10 }, 6_090);
  expect(all.numbers).toEqual([...flows(11, 6_000), ...flows(20_001, 20_100)].map(({ startedMs }) => startedMs));
  expect(Math.max(...asked)).toBeLessThanOrEqual(1_000);
  const filter: FlowFilter = { service: 'rare' };
  expect((await watched(counting, { resume: 10, filter }, 100)).numbers).toHaveLength(100);
});
