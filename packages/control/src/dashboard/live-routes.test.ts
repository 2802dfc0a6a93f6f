import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { joinHost } from '../netmap/network.fixture.ts';
import { flow, TestDashboard } from './dashboard.fixture.ts';
import { SECURITY_HEADERS } from './headers.ts';

const HOUR = 3_600_000;
const dashboards: TestDashboard[] = [];
const streams: Stream[] = [];

afterAll(async () => {
  for (const stream of streams) await stream.close();
  for (const dashboard of dashboards) await dashboard.close();
});

/** The page's end of a stream. */
class Stream {
  readonly response: Response;
  readonly #stop: AbortController;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #decoder = new TextDecoder();
  /** Of a message that is not whole yet: looked through once, as some are of many megabytes. */
  readonly #pieces: string[] = [];
  readonly #blocks: string[] = [];

  constructor(response: Response, stop: AbortController) {
    this.response = response;
    this.#stop = stop;
    this.#reader = response.body?.getReader();
    streams.push(this);
  }

  /** The next event; undefined when the stream is over. */
  async next(): Promise<{ id: string; event: string; data: Record<string, unknown> } | undefined> {
    for (;;) {
      const block = this.#blocks.shift();
      if (block !== undefined) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        const data = field('data');
        if (data !== undefined) return { id: field('id') ?? '', event: field('event') ?? '', data: JSON.parse(data) };
        continue;
      }
      const read = await this.#reader?.read();
      if (read === undefined || read.done) return undefined;
      const piece = this.#decoder.decode(read.value, { stream: true });
      const before = this.#pieces.at(-1)?.at(-1) ?? '';
      if (piece !== '') this.#pieces.push(piece);
      if (!`${before}${piece}`.includes('\n\n')) continue;
      this.#blocks.push(...this.#pieces.splice(0).join('').split('\n\n'));
      const rest = this.#blocks.pop();
      if (rest) this.#pieces.push(rest);
    }
  }

  async ended(): Promise<void> {
    while ((await this.next()) !== undefined);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reader?.cancel().catch(() => undefined);
  }
}

/** Each test has its own, for they wait for what comes each second: together. */
async function opened() {
  const dashboard = await TestDashboard.start();
  dashboards.push(dashboard);
  const cookie = await dashboard.signIn('read');
  const live = async (headers: Record<string, string> = {}, as = cookie): Promise<Stream> => {
    const stop = new AbortController();
    const asked = { cookie: as, headers, signal: stop.signal };
    return new Stream(await dashboard.ask('/api/live?network=prod', asked), stop);
  };
  return { dashboard, cookie, live };
}

test.concurrent('a page is told everything, then what changes, and resumes where it was', async () => {
  const { dashboard, live } = await opened();
  const { agent } = await joinHost(dashboard.state, 'prod', { host: 'data-1', services: ['redis'] });
  await dashboard.state.registerInstances(agent.id, ['redis']);
  dashboard.agents.set(agent.id, {});
  const first = await live();
  expect(first.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(first.response.headers.get('cache-control')).toBe('no-store');
  expect(first.response.headers.get('content-encoding')).toBeNull();
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) expect(first.response.headers.get(name)).toBe(value);
  const snapshot = await first.next();
  expect(snapshot).toMatchObject({
    event: 'live',
    data: {
      snapshot: true,
      network: { name: 'prod', services: 2, agents: 1, connected: 1, behind: ['data-1'] },
      services: {
        web: { names: ['web.internal', 'web-discovery.internal'] },
        redis: { vip: '127.80.0.2', ports: ['6001'], instances: [{ host: 'data-1', ordinal: 0, connected: true }] },
      },
      agents: { 'data-1': { id: agent.id, services: ['redis'] } },
      traffic: {},
    },
  });
  await dashboard.apply('web', 'redis', 'mailer');
  const change = await first.next();
  expect(change?.data).toMatchObject({ snapshot: false, services: { mailer: { name: 'mailer' } } });
  expect(Object.keys(change?.data.services ?? {})).toEqual(['mailer']);
  await first.close();

  await dashboard.apply('web', 'redis');
  const again = await live({ 'last-event-id': change?.id ?? '' });
  // Control may not have looked again yet when the page is back; it was told nothing twice then either.
  let event = await again.next();
  while (event?.data.services === undefined) event = await again.next();
  expect(event.data).toMatchObject({ snapshot: false, services: { mailer: null } });
});

test.concurrent('flows come as they end', async () => {
  const { dashboard, live } = await opened();
  const stream = await live();
  await stream.next();
  dashboard.flows.add(flow('a', 1));
  expect(await stream.next()).toMatchObject({
    event: 'flows',
    id: '',
    data: { flows: [{ id: 'a', cursor: 1 }], omitted: 0 },
  });
});

test.concurrent('traffic is sent when it changed, with a denial and its rule', async () => {
  const { dashboard, live } = await opened();
  const stream = await live();
  await stream.next();
  const pair = { source: 'web', sourceHost: 'a', service: 'redis', destinationHost: 'b' };
  const rates = {
    openedPerSecond: 0.123,
    deniedPerSecond: 1,
    failedPerSecond: 0,
    sentPerSecond: 1.5,
    receivedPerSecond: 0,
  };
  const lastDenied = { port: 6379, protocol: 'tcp', rule: 'no-redis', revision: 3, atMs: 9 } as const;
  dashboard.pairs = [{ ...pair, ...rates, open: 2, lastDenied }];
  expect((await stream.next())?.data.traffic).toEqual({
    'web a redis b': { ...pair, ...rates, open: 2, openedPerSecond: 0.12, sentPerSecond: 2, lastDenied },
  });
});

test.concurrent('a stream ends with its session: signed out, or over', async () => {
  const { dashboard, cookie, live } = await opened();
  const [one, other] = [await live(), await live({}, await dashboard.signIn('admin'))];
  await Promise.all([one.next(), other.next()]);
  await dashboard.ask('/api/session', { method: 'DELETE', cookie });
  await one.ended();
  dashboard.clock += 13 * HOUR;
  await other.ended();
  expect((await live()).response.status).toBe(401);
});

test.concurrent('a page that is looked at stays signed in', async () => {
  const { dashboard, cookie, live } = await opened();
  const stream = await live();
  await stream.next();
  for (let looks = 0; looks < 2; looks += 1) {
    dashboard.clock += HOUR - 1;
    // The sign of life is sent only to who may still look.
    expect((await stream.next())?.data).toMatchObject({ snapshot: false });
  }
  expect((await dashboard.ask('/api/session', { cookie })).status).toBe(200);
});

test.concurrent('a session may have eight, and those who see cannot take the places of those who act', async ({
  expect,
}) => {
  const { dashboard, live } = await opened();
  const first = await live();
  expect(first.response.status).toBe(200);
  for (let count = 1; count < 8; count += 1) expect((await live()).response.status).toBe(200);
  const ninth = (await live()).response;
  expect(ninth.status).toBe(429);
  for (let sessions = 0; sessions < 5; sessions += 1) {
    const as = await dashboard.signIn('read');
    for (let count = 0; count < 8; count += 1) expect((await live({}, as)).response.status).toBe(200);
  }
  expect((await live({}, await dashboard.signIn('read'))).response.status).toBe(429);
  for (let sessions = 0; sessions < 2; sessions += 1) {
    const as = await dashboard.signIn('admin');
    for (let count = 0; count < 8; count += 1) expect((await live({}, as)).response.status).toBe(200);
  }
  expect((await live({}, await dashboard.signIn('admin'))).response.status).toBe(429);
  await first.close();
  // Its place is free as soon as control has heard of it.
  await expect.poll(async () => (await live()).response.status).toBe(200);
});

test.concurrent('signs of life come though the clock is set back', async () => {
  const { dashboard, live } = await opened();
  const stream = await live();
  await stream.next();
  dashboard.clock -= 24 * HOUR;
  dashboard.monotonic += 2_000;
  expect((await stream.next())?.data).toEqual({ atMs: dashboard.clock, snapshot: false });
});

test.concurrent('a network that is removed ends its streams, and another of its name begins anew', async () => {
  const { dashboard, live } = await opened();
  const stream = await live();
  const first = await stream.next();
  await dashboard.state.removeNetwork('prod', 'admin 127.0.0.1');
  await stream.ended();
  // Its connection may be about to end, with what is asked there.
  await expect.poll(async () => (await live()).response.status).toBe(404);
  await dashboard.apply('redis');
  const again = await live({ 'last-event-id': first?.id ?? '' });
  expect((await again.next())?.data).toMatchObject({ snapshot: true, services: { redis: {} } });
});

test.concurrent('control that stops ends the streams', async () => {
  const { dashboard, live } = await opened();
  const stream = await live();
  await stream.next();
  await dashboard.close();
  await stream.ended().catch(() => undefined);
});

// Alone: it holds up the loop again and again, and servers close connections meanwhile for which it is late.
test('who reads nothing is let go after half a minute, also when the clock is set back', async () => {
  const { dashboard, cookie, live } = await opened();
  const [host, port] = dashboard.address.split(':');
  const socket: Socket = connect(Number(port), host);
  await once(socket, 'connect');
  socket.pause().on('error', () => undefined);
  // More than sockets take at once: the kernel's bound is some 4 MB, of one end, where the other is not read.
  const { agent } = await joinHost(dashboard.state, 'prod', { host: 'data-1' });
  const problems = [{ code: 'long', subject: 'agent', message: 'x'.repeat(10_000_000) }];
  const report = {
    endpoints: [],
    tunnelPort: 0,
    instances: [],
    gatewayAddress: '',
    problems,
    tunnels: 0,
    flows: 0,
    listeners: 0,
    toldApart: [],
    othersAsHost: false,
    exposed: [],
    triedByPeers: false,
  };
  dashboard.agents.set(agent.id, { report });
  socket.write(`GET /api/live HTTP/1.1\r\nHost: ${dashboard.address}\r\nCookie: ${cookie}\r\n\r\n`);
  const watcher = await live();
  await watcher.next();
  const looked = async (): Promise<void> => {
    // A sign of life is sent in the same turn as everyone is looked at.
    dashboard.monotonic += 16_000;
    await watcher.next();
  };
  const closed = new Promise((resolve) => socket.once('close', resolve));
  dashboard.clock -= 24 * HOUR;
  for (let looks = 0; looks < 4; looks += 1) await looked();
  socket.resume();
  await closed;
  expect((await dashboard.ask('/api/session', { cookie })).status).toBe(200);
});
