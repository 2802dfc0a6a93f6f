import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FlowRecord } from '@weft/proto';
import { pino } from 'pino';
import { afterAll, expect, test, vi } from 'vitest';
import { flow, flows } from './flow.fixture.ts';
import type { FlowWindow } from './types.ts';
import { openFlowWindow, type WindowOptions } from './window.ts';

const NEVER = new AbortController().signal;
const root = mkdtempSync(join(tmpdir(), 'weft-window-'));
afterAll(() => rmSync(root, { recursive: true }));
let made = 0;
const newDirectory = (): string => join(root, String(++made));

function open(directory: string, options: Partial<WindowOptions> = {}): Promise<FlowWindow> {
  return openFlowWindow({ directory, logger: pino({ level: 'silent' }), now: Date.now, ...options });
}

const all = async (window: FlowWindow, network = 'prod', limit = 10_000): Promise<[number, string][]> =>
  (await window.query(network, { filter: {}, limit }, NEVER)).flows
    .map(({ record }): [number, string] => [record.startedMs, record.detail])
    .reverse();
const starts = async (window: FlowWindow): Promise<number[]> => (await all(window)).map(([started]) => started);
const numbers = (from: number, to: number): number[] => flows(from, to).map(({ startedMs }) => startedMs);

async function startsOf(coming: ReturnType<FlowWindow['follow']>): Promise<number[]> {
  const found: number[] = [];
  for await (const { record } of coming) found.push(record.startedMs);
  return found;
}

/** A logger, and what was logged. */
function listen() {
  const events: string[] = [];
  const write = (line: string): void => void events.push((JSON.parse(line) as { event: string }).event);
  return { events, logger: pino({}, { write }) };
}

test('a question sees all that was added before it, page by page, and nothing later', async () => {
  const window = await open(newDirectory());
  window.add('prod', 'b', flows(1, 25), 0);
  const asked = window.query('prod', { filter: {}, limit: 10 }, NEVER);
  window.add('prod', 'b', flows(26, 30), 0);
  const pages: number[][] = [];
  for (
    let page = await asked;
    ;
    page = await window.query('prod', { filter: {}, limit: 10, before: page.older }, NEVER)
  ) {
    pages.push(page.flows.map(({ record }) => record.startedMs));
    if (page.older === undefined) break;
  }
  expect(pages).toEqual([numbers(16, 25).reverse(), numbers(6, 15).reverse(), numbers(1, 5).reverse()]);
  expect(window.kept).toMatchObject({ records: 30 });
  await window.close();
});

test('what was added of a network that is forgotten is gone, and another of its name begins with nothing', async () => {
  const directory = newDirectory();
  const window = await open(directory);
  window.add('prod', 'b', flows(1, 5), 0);
  window.add('stage', 'b', flows(1, 5), 0);
  expect(await starts(window)).toEqual(numbers(1, 5));
  const followed = startsOf(window.follow('prod', {}, NEVER));
  window.add('prod', 'b', flows(6, 8), 3);
  window.forget('prod');
  // In the same words as before: of another network, it is new.
  window.add('prod', 'b', flows(8, 9), 0);
  expect(await starts(window)).toEqual(numbers(8, 9));
  expect(await followed).toEqual(numbers(6, 8));
  expect([window.dropped('prod'), (await all(window, 'stage')).length, window.kept.records]).toEqual([0, 5, 7]);
  await window.close();
  writeFileSync(join(directory, 'prod', '0009.db'), 'no database');
  const again = await open(directory);
  expect(await starts(again)).toEqual(numbers(8, 9));
  again.forget('prod');
  expect(await starts(again)).toEqual([]);
  await again.close();
  expect([existsSync(join(directory, 'prod')), existsSync(join(directory, 'stage'))]).toEqual([false, true]);
});

test('who opened it is told why what was added is not on disk, and when it is again', async () => {
  const told: (string | undefined)[] = [];
  const directory = newDirectory();
  const window = await open(directory, { wrote: (failure) => told.push(failure) });
  // The place of the next segment is taken.
  mkdirSync(join(directory, 'prod'));
  writeFileSync(join(directory, 'prod', '0001.db'), '');
  for (const at of [1, 2]) await new Promise<void>((settled) => window.add('prod', 'b', flows(at, at), 0, settled));
  expect(told).toEqual([expect.stringContaining('EEXIST'), undefined]);
  expect(window.dropped('prod')).toBe(1);
  await window.close();
});

test('the past and what follows meet: nothing twice, nothing left out', async () => {
  const window = await open(newDirectory());
  window.add('prod', 'b', flows(1, 3), 0);
  const end = new AbortController();
  const coming = window.follow('prod', {}, end.signal);
  const past = window.query('prod', { filter: {}, limit: 100 }, NEVER);
  window.add('prod', 'b', flows(4, 5), 0);
  const seen = (await past).flows.map(({ record }) => record.startedMs).reverse();
  window.add('prod', 'b', flows(6, 6), 0);
  for await (const { record, missed } of coming) {
    expect(missed).toBe(0);
    seen.push(record.startedMs);
    if (record.startedMs === 6) end.abort();
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  await window.close();
});

test('a restart keeps records, the cursors go on, and a flow told before is still known', async () => {
  const directory = newDirectory();
  const first = await open(directory);
  first.add('prod', 'a', [flow(1, { detail: 'by the source' }), flow(2)], 0);
  first.add('dev', 'b', [flow(3)], 0);
  await first.close();
  const again = await open(directory);
  again.add('prod', 'b', [flow(1, { detail: 'by the destination' }), flow(4)], 0);
  expect(await all(again)).toEqual([
    [1, 'by the destination'],
    [2, ''],
    [4, ''],
  ]);
  expect(await all(again, 'dev')).toEqual([[3, '']]);
  const { flows: kept } = await again.query('prod', { filter: {}, limit: 10 }, NEVER);
  const [newest = 0, second = 0, oldest = 0] = kept.map(({ cursor }) => cursor);
  expect([newest > first.last, second - oldest]).toEqual([true, 1]);
  await again.close();
});

test('where records are gone, no cursor is given again, and what came after one of then is not complete', async () => {
  const first = await open(newDirectory());
  first.add('prod', 'a', [flow(1)], 0);
  const place = first.last;
  await first.close();
  const again = await open(newDirectory());
  again.add('prod', 'a', [flow(2), flow(3)], 0);
  expect(again.last).toBeGreaterThan(place);
  const after = { filter: {}, after: place, before: 0, limit: 1 };
  await expect(again.query('prod', after, NEVER)).resolves.toMatchObject({ complete: false });
  await again.close();
});

test('on disk, too, what failed for its source is what is kept, whoever tells first', async () => {
  const directory = newDirectory();
  const window = await open(directory);
  const told = (number: number, host: string) =>
    host === 'a'
      ? flow(number, { outcome: 'unreachable', detail: 'no answer' })
      : flow(number, { outcome: 'reset', detail: 'reset by the caller', bytesSent: 7 });
  const kept = async (of: FlowWindow) =>
    (await of.query('prod', { filter: { outcome: 'unreachable' }, limit: 10 }, NEVER)).flows.map(
      ({ record }) => record,
    );
  for (const [number, host] of [
    [1, 'a'],
    [1, 'b'],
    [2, 'b'],
  ] as const) {
    window.add('prod', host, [told(number, host)], 0);
  }
  expect(await all(window)).toEqual([
    [1, 'no answer'],
    [2, 'reset by the caller'],
  ]);
  await window.close();
  // The other word may come when the first is of before a restart.
  const again = await open(directory);
  again.add('prod', 'a', [told(2, 'a')], 0);
  again.add('prod', 'b', [told(1, 'b')], 0);
  const joined: Partial<FlowRecord> = { outcome: 'unreachable', detail: 'no answer', bytesSent: 7 };
  expect(await kept(again)).toEqual([flow(2, joined), flow(1, joined)]);
  expect(await all(again)).toHaveLength(2);
  await again.close();
});

test('control that is killed loses what was not written yet, and nothing before it', async () => {
  const directory = newDirectory();
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'writer.fixture.ts'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => writer.once('exit', () => resolve()));
  let told = 0;
  for await (const line of createInterface({ input: writer.stdout })) {
    told = Number(line);
    if (told >= 3_500) writer.kill('SIGKILL');
  }
  await exited;
  const window = await open(directory);
  const kept = await starts(window);
  expect(kept.length).toBeGreaterThanOrEqual(told);
  expect(kept).toEqual(numbers(1, kept.length));
  expect(window.kept.records).toBe(kept.length);
  const { buckets } = await window.history('prod', { buckets: 10 }, NEVER);
  expect(buckets.reduce((sum, { allowed }) => sum + allowed, 0)).toBe(kept.length);
  await window.close();
});

test('what finds no place in the queue is counted, and told of once', async () => {
  const { events, logger } = listen();
  const entry = new URL('./idle-entry.fixture.ts', import.meta.url);
  const window = await open(newDirectory(), { entry, logger, mostQueued: 5_000 });
  window.add('prod', 'b', flows(1, 6_000), 7);
  window.add('dev', 'b', flows(1, 10), 0);
  expect([window.dropped('prod'), window.dropped('dev'), window.dropped('none')]).toEqual([1_007, 10, 0]);
  expect(events).toEqual(['flows-dropped']);
  // What the other end tells of a flow replaces what the first told, and is as lost when there is no place for it.
  window.add('prod', 'a', [flow(1, { outcome: 'unreachable' }), flow(5_990, { outcome: 'unreachable' })], 0);
  expect(window.dropped('prod')).toBe(1_009);
  const abort = new AbortController();
  const asked = window.query('prod', { filter: {}, limit: 1 }, abort.signal);
  abort.abort(new Error('given up'));
  await expect(asked).rejects.toThrow('given up');
});

test('at most so many questions wait', async () => {
  const entry = new URL('./idle-entry.fixture.ts', import.meta.url);
  const window = await open(newDirectory(), { entry });
  const query = (): Promise<unknown> => window.query('prod', { filter: {}, limit: 1 }, NEVER);
  const waiting = Array.from({ length: 256 }, query);
  await expect(query()).rejects.toMatchObject({ code: 'busy' });
  const settled = Promise.allSettled(waiting);
  await window.close();
  expect(new Set((await settled).map(({ status }) => status))).toEqual(new Set(['rejected']));
  await expect(query()).rejects.toMatchObject({ code: 'closed' });
});

test('a thread that dies is started again; what it had is counted, and the rest is kept', async () => {
  const { events, logger } = listen();
  const entry = new URL('./dying-entry.fixture.ts', import.meta.url);
  const window = await open(newDirectory(), { entry, logger });
  window.add('prod', 'b', flows(1, 10), 0);
  expect(await starts(window)).toHaveLength(10);
  window.add('prod', 'b', [flow(11), flow(12, { detail: 'dies' })], 0);
  await expect(starts(window)).rejects.toMatchObject({ code: 'thread-ended' });
  expect(window.dropped('prod')).toBe(2);
  // While it is away.
  const settled = new Promise<number>((resolve) => {
    window.add('prod', 'b', flows(13, 14), 0, () => resolve(window.kept.records));
  });
  await vi.waitFor(async () => expect(await starts(window)).toEqual([...numbers(1, 10), 13, 14]), 5_000);
  expect(await settled).toBe(12);
  expect(events).toContain('flows-thread-ended');
  await window.close();
});

test('what failed in a thread that died is told of that write, and not of the next', async () => {
  const entry = new URL('./dying-entry.fixture.ts', import.meta.url);
  const wrote: (string | undefined)[] = [];
  const window = await open(newDirectory(), { entry, wrote: (failure) => wrote.push(failure) });
  window.add('prod', 'b', [flow(1, { detail: 'fails' })], 0);
  await expect(starts(window)).rejects.toMatchObject({ code: 'thread-ended' });
  window.add('prod', 'b', [flow(2)], 0);
  await vi.waitFor(async () => expect(await starts(window)).toEqual([2]), 5_000);
  expect(wrote).toEqual(['disk is full', undefined]);
  await window.close();
});

test('a window that cannot be opened is told at once', async () => {
  const directory = newDirectory();
  writeFileSync(directory, 'a file');
  const failed = {
    name: 'FlowsError',
    code: 'failed',
    message: expect.stringMatching(/EEXIST.*; make it a directory/),
  };
  await expect(open(directory)).rejects.toMatchObject(failed);
});

test('what was added is settled when it is on disk, or counted as lost', async () => {
  const entry = new URL('./idle-entry.fixture.ts', import.meta.url);
  const settled: string[] = [];
  const idle = await open(newDirectory(), { entry, mostQueued: 3 });
  idle.add('prod', 'b', [], 0, () => settled.push('nothing'));
  idle.add('prod', 'b', flows(1, 3), 0, () => settled.push('never written'));
  idle.add('prod', 'b', flows(4, 4), 0, () => settled.push('lost after those'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(settled).toEqual(['nothing']);

  const window = await open(newDirectory());
  const kept = await new Promise<number>((resolve) => {
    window.add('prod', 'b', flows(1, 3), 0, () => resolve(window.kept.records));
  });
  expect(kept).toBe(3);
  window.add('prod', 'b', flows(1, 3), 0, () => settled.push('told again'));
  expect(settled).toEqual(['nothing', 'told again']);
  await window.close();
});

test('what is sent again long after is known by its words; a flow that only bears the same identifier is another', async () => {
  const window = await open(newDirectory(), { newest: 10 });
  window.add('prod', 'b', flows(1, 1_000), 0);
  window.add('prod', 'b', flows(1, 1_000), 0);
  window.add('prod', 'b', [flow(5, { startedMs: 2_000 })], 0);
  expect(await starts(window)).toEqual([...numbers(1, 1_000), 2_000]);
  await window.close();
});

test('a restart knows the newest flows of every network, however many networks there are', async () => {
  const directory = newDirectory();
  const networks = Array.from({ length: 13 }, (_, index) => `net-${index}`);
  const first = await open(directory);
  for (const network of networks) first.add(network, 'b', flows(1, 2), 0);
  await first.close();
  const again = await open(directory);
  for (const network of networks) again.add(network, 'b', flows(1, 2), 0);
  for (const network of networks) expect(await all(again, network)).toHaveLength(2);
  await again.close();
});
