import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import type { PortUse } from '../inbound/target-watch.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { bindProblem } from './bind-problems.ts';
import { type ListenerSpec, listenerKey } from './listener-spec.ts';
import { Listeners, type ListenersOptions } from './listeners.ts';
import { until } from './rig.fixture.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function spec(service: string, port: number): ListenerSpec {
  return { service, ordinal: undefined, address: '127.99.0.1', port, protocol: 'tcp' };
}

function keyed(...listeners: readonly ListenerSpec[]): ReadonlyMap<string, ListenerSpec> {
  return new Map(listeners.map((each) => [listenerKey(each), each]));
}

function setup(
  portUse: (port: number) => PortUse = () => 'free',
  binding: (wanted: ListenerSpec) => void = () => {},
  holders?: ListenersOptions['holders'],
) {
  const failing = new Map<number, string>();
  const open = new Set<string>();
  let binds = 0;
  const problems = new ProblemBoard(pino({ level: 'silent' }));
  const listeners = new Listeners({
    async bind(wanted) {
      binds++;
      binding(wanted);
      await Promise.resolve();
      const code = failing.get(wanted.port);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
      const key = listenerKey(wanted);
      if (open.has(key)) throw Object.assign(new Error('twice'), { code: 'EADDRINUSE' });
      open.add(key);
      return { close: () => void open.delete(key) };
    },
    portUse,
    runsHere: () => false,
    problems,
    retryMs: 5,
    ...(holders && { holders }),
  });
  cleanups.push(() => listeners.close());
  return { listeners, failing, open, problems, binds: () => binds };
}

describe('the listeners', () => {
  it('tell of all ports that programs of a service opened in one problem, and of one that comes to be declared by itself', async () => {
    const { listeners, failing, problems } = setup();
    const opened = Array.from({ length: 300 }, (_, at) => ({ ...spec('many', 2_000 + at), opened: true as const }));
    for (const { port } of opened) failing.set(port, 'EADDRINUSE');
    const told = () => problems.current.map(({ code, subject }) => `${code} ${subject}`);
    listeners.reconcile(keyed(...opened));
    await listeners.settled();
    expect(told()).toEqual(['opened-not-listened many']);
    expect(problems.current[0]?.message).toMatch(/ports: auto.*the first: .*holds port 2000,/);
    listeners.reconcile(keyed(...opened.slice(0, -1), spec('many', 2_299)));
    expect(told()).toEqual(['opened-not-listened many', 'port-taken many:2299/tcp']);
    listeners.reconcile(keyed());
    expect(told()).toEqual([]);
  });

  it('follow the netmap: what is new is bound, what is gone is closed, the rest is left alone', async () => {
    const { listeners, open, binds } = setup();
    listeners.reconcile(keyed(spec('redis', 1), spec('redis', 2)));
    await listeners.settled();
    listeners.reconcile(keyed(spec('redis', 2), spec('web', 3)));
    await listeners.settled();
    expect(open).toEqual(new Set([listenerKey(spec('redis', 2)), listenerKey(spec('web', 3))]));
    expect(binds()).toBe(3);
    listeners.close();
    expect(open.size).toBe(0);
  });

  it('leave nothing bound that was given up while it was being bound', async () => {
    const { listeners, open } = setup();
    listeners.reconcile(keyed(spec('redis', 1)));
    listeners.reconcile(keyed());
    await listeners.settled();
    expect(open.size).toBe(0);
    expect(listeners.bound).toBe(0);
  });

  it('bind bit by bit, the first of every service first, and let the rest of the agent work between', async () => {
    const order: string[] = [];
    const { listeners } = setup(
      () => 'free',
      ({ service, port }) => {
        order.push(`${service}:${port}`);
        // As binding does: the thread does nothing else meanwhile.
        const until = performance.now() + 2;
        while (performance.now() < until);
      },
    );
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    cleanups.push(() => clearInterval(ticking));
    const large = Array.from({ length: 60 }, (_, index) => spec('large', 1_000 + index));
    listeners.reconcile(keyed(...large, spec('redis', 1), spec('web', 2)));
    await listeners.settled();
    expect(listeners.bound).toBe(62);
    expect(order.slice(0, 4)).toEqual(['large:1000', 'redis:1', 'web:2', 'large:1001']);
    // 124 ms of work, of 5 ms and a bind at a time.
    expect(turns).toBeGreaterThanOrEqual(12);
  });

  it('tell of a port that is taken, let the others work, and recover', async () => {
    const { listeners, failing, problems } = setup();
    failing.set(1, 'EADDRINUSE');
    listeners.reconcile(keyed(spec('redis', 1), spec('redis', 2)));
    await listeners.settled();
    expect(listeners.bound).toBe(1);
    expect(problems.current).toMatchObject([{ code: 'port-taken', subject: 'redis:1/tcp' }]);
    failing.delete(1);
    await until(() => listeners.bound === 2);
    expect(problems.current).toEqual([]);
  });

  it('tell who has the port once that is known, and again whenever it is another', async () => {
    let pid: number | undefined = 12;
    const looked = Promise.withResolvers<void>();
    const { listeners, failing, problems } = setup(undefined, undefined, async (places) => {
      await looked.promise;
      const program = pid === undefined ? '' : '/usr/bin/redis-server';
      return places.map(() => ({ own: false, user: 'redis', program, ...(pid && { pid }) }));
    });
    for (const port of [1, 2]) failing.set(port, 'EADDRINUSE');
    listeners.reconcile(keyed(spec('redis', 1), spec('redis', 2)));
    await listeners.settled();
    const told = () => problems.current.map(({ message }) => message.split(';')[0]);
    const isTold = (who: string) => {
      const words = [1, 2].map(
        (port) => `${who} holds port ${port}, so 127.99.0.1:${port}/tcp cannot be listened on for redis`,
      );
      return told().join() === words.join();
    };
    expect(told()[0]).toMatch(/^another program, or this agent itself \(.*\), holds port 1, so /);
    looked.resolve();
    await until(() => isTold('/usr/bin/redis-server (process 12 of user redis)'));
    pid = undefined;
    await until(() => isTold('a program of user redis'));
    failing.clear();
    await until(() => listeners.bound === 2);
    expect(problems.current).toEqual([]);
  });

  it('change their problem when it becomes another, and forget it with the spec', async () => {
    const { listeners, failing, problems } = setup();
    failing.set(1, 'EADDRINUSE');
    listeners.reconcile(keyed(spec('redis', 1)));
    await listeners.settled();
    failing.set(1, 'EACCES');
    await until(() => problems.current[0]?.code === 'port-privileged');
    expect(problems.current).toHaveLength(1);
    listeners.reconcile(keyed());
    expect(problems.current).toEqual([]);
  });
});

it('a listener whose port is awaited says for whom and what to do, the service’s own too', async () => {
  let use: PortUse = 'awaited';
  const { listeners, problems } = setup(() => use);
  listeners.reconcile(keyed(spec('redis', 80)));
  expect(listeners.bound).toBe(0);
  expect(problems.current).toMatchObject([{ code: 'port-awaited', subject: 'redis:80/tcp' }]);
  expect(problems.current[0]?.message).toContain('targets: { 80: "127.0.0.1:80" }');
  use = 'free';
  listeners.reconcile(keyed(spec('redis', 80)));
  await listeners.settled();
  expect(listeners.bound).toBe(1);
  expect(problems.current).toEqual([]);
});

it.each([
  ['EACCES', 'port-privileged', 'net.ipv4.ip_unprivileged_port_start=80'],
  ['EADDRINUSE', 'port-taken', '127.0.0.1'],
  ['EADDRNOTAVAIL', 'address-unavailable', '127.99.0.1'],
  ['EMFILE', 'too-many-files', 'ulimit -n'],
  ['EWHATEVER', 'listen-failed', 'EWHATEVER'],
])('%s says %s and what to do', (code, expected, words) => {
  const problem = bindProblem(spec('web', 80), Object.assign(new Error(code), { code }));
  expect(problem).toMatchObject({ code: expected, subject: 'web:80/tcp' });
  expect(problem.message).toContain(words);
});
