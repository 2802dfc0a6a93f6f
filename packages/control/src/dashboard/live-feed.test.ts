import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WatchedFlow } from '../flows/types.ts';
import { flow } from './dashboard.fixture.ts';
import { LiveFeed, type Viewer } from './live-feed.ts';

const ID = '0123456789abcdef';
let services: Map<string, string>;
let looks: number;
let arrive: (...flows: WatchedFlow[]) => void;
let followers = 0;
let follows = 0;
/** Of those who follow from now on. */
let failing = 0;
let feed: LiveFeed;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  services = new Map([['web', '1']]);
  looks = 0;
  followers = 0;
  follows = 0;
  failing = 0;
  const look = () => {
    looks += 1;
    return { network: '{}', services: new Map(services), agents: new Map<string, string>(), traffic: new Map() };
  };
  feed = new LiveFeed({ id: ID, look, follow, now: Date.now, steady: Date.now, logger: pino({ level: 'silent' }) });
});

afterEach(() => {
  vi.useRealTimers();
});

async function* follow(signal: AbortSignal): AsyncGenerator<WatchedFlow> {
  follows += 1;
  if (failing-- > 0) throw new Error('the window is gone');
  const coming: WatchedFlow[] = [];
  let wake = (): void => undefined;
  arrive = (...flows) => {
    coming.push(...flows);
    wake();
  };
  signal.addEventListener('abort', () => wake());
  followers += 1;
  while (!signal.aborted) {
    const next = coming.shift();
    if (next !== undefined) yield next;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  followers -= 1;
}

interface Event {
  readonly id: string | undefined;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a page would parse
  readonly data: any;
}

class Looking implements Viewer {
  text = '';
  isReady = true;
  isPermitted = true;
  ready = () => this.isReady;
  permitted = () => this.isPermitted;
  write(text: string): void {
    expect(this.isReady).toBe(true);
    this.text += text;
  }

  end(): void {
    this.isPermitted = false;
  }

  /** What was written since it was last asked for. */
  events(): Event[] {
    const blocks = this.text.split('\n\n').filter((block) => block.includes('data: '));
    this.text = '';
    return blocks.map((block) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      return { id: field('id'), event: field('event') ?? '', data: JSON.parse(field('data') ?? '') };
    });
  }
}

const second = () => vi.advanceTimersByTimeAsync(1_000);

test('a viewer gets everything, then what changes, and a sign of life when nothing does', async () => {
  const viewer = new Looking();
  feed.join(viewer, undefined);
  expect(viewer.text).toMatch(/^retry: 1000\n\n/);
  expect(viewer.events()).toMatchObject([
    { event: 'live', id: `${ID}-1`, data: { snapshot: true, services: { web: 1 } } },
  ]);
  services.set('redis', '2');
  services.delete('web');
  await second();
  const [change] = viewer.events();
  expect(change).toMatchObject({ id: `${ID}-2`, data: { snapshot: false, services: { web: null, redis: 2 } } });
  expect(change?.data.network).toBeUndefined();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(viewer.events()).toEqual([]);
  await second();
  expect(viewer.events()).toEqual([{ event: 'live', id: `${ID}-2`, data: { atMs: Date.now(), snapshot: false } }]);
});

test('who comes back gets what changed meanwhile, unless it was of another run', async () => {
  const viewer = new Looking();
  const leave = feed.join(viewer, undefined);
  const [first] = viewer.events();
  leave();
  services.set('redis', '2');
  const again = new Looking();
  feed.join(again, first?.id);
  expect(again.events()).toMatchObject([{ id: `${ID}-2`, data: { snapshot: false, services: { redis: 2 } } }]);
  for (const other of [`fedcba9876543210-1`, `${ID}-99`, 'rubbish', `${ID}--1`, '']) {
    const stranger = new Looking();
    feed.join(stranger, other);
    expect(stranger.events()).toMatchObject([{ data: { snapshot: true, services: { web: 1, redis: 2 } } }]);
  }
});

test('a slow viewer is passed over, and gets the newest when it is ready again', async () => {
  const [slow, quick] = [new Looking(), new Looking()];
  feed.join(slow, undefined);
  feed.join(quick, undefined);
  slow.events();
  quick.events();
  slow.isReady = false;
  for (const value of ['10', '11', '12']) {
    services.set('web', value);
    await second();
  }
  expect(quick.events().map(({ data }) => data.services)).toEqual([{ web: 10 }, { web: 11 }, { web: 12 }]);
  arrive(flow('a', 1), flow('b', 2));
  await second();
  slow.isReady = true;
  arrive(flow('c', 3));
  services.set('redis', '2');
  await second();
  const events = slow.events();
  expect(events.map(({ event }) => event)).toEqual(['flows', 'live']);
  expect(events[0]?.data).toMatchObject({ flows: [{ id: 'c', cursor: 3 }], omitted: 2 });
  expect(events[1]?.data.services).toEqual({ web: 12, redis: 2 });
});

test('flows come at most four times a second and 200 a second together; what is left out is counted', async () => {
  const viewer = new Looking();
  feed.join(viewer, undefined);
  viewer.events();
  for (let quarter = 0; quarter < 8; quarter += 1) {
    arrive(...Array.from({ length: 80 }, (_, index) => flow(`${quarter}-${index}`, quarter * 80 + index)));
    await vi.advanceTimersByTimeAsync(250);
  }
  const flows = viewer.events().filter(({ event }) => event === 'flows');
  expect(flows.length).toBe(8);
  expect(flows.map(({ data }) => data.flows.length)).toEqual(Array(8).fill(50));
  expect(flows.map(({ data }) => data.omitted)).toEqual(Array(8).fill(30));
  arrive({ ...flow('late', 999), missed: 7 });
  await second();
  expect(viewer.events()).toMatchObject([{ data: { flows: [{ id: 'late' }], omitted: 7 } }]);
});

test('who may look no longer gets nothing more', async () => {
  const viewer = new Looking();
  feed.join(viewer, undefined);
  viewer.events();
  viewer.isPermitted = false;
  services.set('redis', '2');
  await second();
  expect(viewer.text).toBe('');
});

test('with no viewer nothing runs', async () => {
  const leave = [feed.join(new Looking(), undefined), feed.join(new Looking(), undefined)];
  await second();
  expect(looks).toBe(2);
  for (const one of leave) one();
  expect(vi.getTimerCount()).toBe(0);
  await second();
  expect(looks).toBe(2);
  expect(followers).toBe(0);
  feed.join(new Looking(), undefined);
  expect(looks).toBe(3);
});

test('flows that failed are followed again, less and less often, until nobody looks', async () => {
  failing = 3;
  const viewer = new Looking();
  const leave = feed.join(viewer, undefined);
  viewer.events();
  await vi.advanceTimersByTimeAsync(6_999);
  expect([follows, followers]).toEqual([3, 0]);
  await vi.advanceTimersByTimeAsync(1);
  expect([follows, followers]).toEqual([4, 1]);
  arrive(flow('a', 1));
  await second();
  expect(viewer.events().filter(({ event }) => event === 'flows')).toMatchObject([{ data: { flows: [{ id: 'a' }] } }]);
  leave();
  failing = 1_000;
  const again = feed.join(new Looking(), undefined);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(follows).toBeLessThan(4 + 30);
  again();
  expect(vi.getTimerCount()).toBe(0);
});
