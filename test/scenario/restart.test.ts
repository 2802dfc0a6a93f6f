/** An agent that is stopped in order and started again, under load: calls go to the other instance, and what is cut is recorded. */
import { Resolver } from 'node:dns/promises';
import net from 'node:net';
import { adminService } from '@weft/proto/wire';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { ending, hears, named, says, type TcpProgram } from './programs.ts';

const MESH = `
services:
  redis: { kind: private, ports: [6379] }
  alone: { kind: private, ports: [7000] }
  two: { kind: private, ports: [25001, 25002] }
`;

let mesh: Mesh;
let near: Agent;
let programs: readonly TcpProgram[];

beforeAll(async () => {
  programs = await Promise.all([named('first'), named('second')]);
});
afterAll(() => Promise.all(programs.map((program) => program.stop())));
// A mesh each: who was to hear that a test before it went may not have heard yet, and would call its hosts.
beforeEach(async () => {
  mesh = await Mesh.start(MESH);
  near = await mesh.agent('near');
});
afterEach(() => mesh.close());

/** One call from its connection to the answer; `failed` where there was none. */
function call(vip: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, vip);
    socket.setNoDelay(true);
    let heard = '';
    socket.on('data', (bytes) => {
      heard += bytes.toString();
      if (heard.endsWith('\n')) socket.end();
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(heard.endsWith('\n') ? heard.trim() : 'failed'));
  });
}

/** Calls without a pause, a few at once, until it is told to end. */
function callAllTheTime(vip: string, port: number) {
  const answers = new Map<string, number>();
  let on = true;
  const one = async () => {
    while (on) {
      const answer = await call(vip, port);
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  };
  const all = Promise.all(Array.from({ length: 4 }, one));
  return {
    answers,
    end: async () => {
      on = false;
      await all;
    },
  };
}

const healthyInstances = async (service: string) => {
  const { services } = await mesh.ask(adminService.listServices, { network: NETWORK });
  const found = services.find((each) => each.service?.name === service);
  return (found?.instances ?? []).flatMap((each) => (each.healthy ? [each.host] : []));
};

describe.each([1, 2])('with %i workers', (workers) => {
  test('a client that calls all the time sees no failure, beside the flow that outlived the drain', async () => {
    const [first, second] = programs;
    const one = await mesh.agent('one', {
      ...{ workers, drainMs: 1_000 },
      services: { redis: { 6379: first?.port ?? 0 }, alone: { 7000: first?.port ?? 0 } },
    });
    await mesh.agent('two', { workers, services: { redis: { 6379: second?.port ?? 0 } } });
    const vip = await near.vip('redis', 2);
    const load = callAllTheTime(vip, 6379);
    await until(
      'both answer',
      async () => load.answers.size,
      (size) => size === 2,
    );

    // Flows that stay: of the one that stops, one that finishes in time and one that does not; of the other, two.
    const held = { first: [] as net.Socket[], second: [] as net.Socket[] };
    while (Object.values(held).some(({ length }) => length < 2)) {
      const socket = await near.connect('redis', 6379, 2);
      held[(await hears(socket)) === 'first\n' ? 'first' : 'second'].push(socket);
    }
    const [finishing, staying, ...more] = held.first;
    for (const socket of more) socket.destroy();
    if (finishing === undefined || staying === undefined) throw new Error('nobody answered');
    const cut = ending(staying);

    const stopped = one.stop();
    // At once, and not only when it has gone.
    await until(
      'control sends callers elsewhere',
      () => healthyInstances('redis'),
      (hosts) => !hosts.includes('one'),
    );
    // Nobody else serves this one: it is served to the end.
    expect(await call(await near.vip('alone'), 7000)).toBe('first');
    await says(finishing, 'the last word');
    finishing.destroy();
    await stopped;
    expect(await cut).toBe('reset');
    expect(await healthyInstances('alone')).toEqual([]);
    await one.start();
    load.answers.clear();
    await until(
      'both answer again',
      async () => load.answers.size,
      (size) => size === 2,
    );
    await load.end();
    expect(load.answers.get('failed')).toBe(undefined);
    for (const socket of held.second) {
      await says(socket, 'untouched');
      socket.destroy();
    }
    const records = await mesh.records('redis');
    const failed = records.filter(({ outcome }) => !['closed', 'reset'].includes(outcome));
    const told = failed.map(({ outcome, detail, destinationHost }) => `${outcome} at ${destinationHost}: ${detail}`);
    expect(told).toEqual(['cut at one: the agent stops']);
  });

  test('of several ports each is left to who has it, and what is asked for here is served to the end', async () => {
    const [first, second] = programs.map(({ port }) => port);
    const half = await mesh.agent('half', { workers, services: { two: { 25001: first ?? 0 } } });
    const both = { workers, drainMs: 60_000, services: { two: { 25001: second ?? 0, 25002: second ?? 0 } } };
    const whole = await mesh.agent('whole', both);
    const vip = await near.vip('two', 2);
    await until('both ports answer', () => asksBoth(vip), answers('first|second', 'second'));
    const own = await addressOf('two', whole.host);
    const held = await connect(vip, 25002);
    await hears(held);

    const stopped = whole.stop();
    await until('25001 is left, and 25002 stays', () => asksBothOften(vip), answers('first', 'second'));
    // Control has told of it, and the calls went on; this one means that instance.
    expect(await call(own, 25001)).toBe('second');
    expect(await healthyInstances('two')).toContain(whole.host);

    // Who was to take them ends as well.
    await half.stop();
    await until('25001 comes back', () => asksBothOften(vip), answers('second', 'second'));
    held.destroy();
    await stopped;
    const failed = (await mesh.records('two')).filter(({ outcome }) => !['closed', 'reset'].includes(outcome));
    expect(failed).toEqual([]);
  });

  test('while control is away, calls are refused that another instance can take, and go there', async () => {
    const [one, two] = await Promise.all(
      programs.map(({ port }, at) =>
        mesh.agent(`unheard-${at}`, { workers, drainMs: 60_000, services: { redis: { 6379: port } } }),
      ),
    );
    if (one === undefined || two === undefined) throw new Error('there are two programs');
    const vip = await near.vip('redis', 2);
    const asked = async () => (await Promise.all([call(vip, 6379), call(vip, 6379), call(vip, 6379)])).join();
    let held = await connect(vip, 6379);
    while ((await hears(held)) !== 'first\n') {
      held.destroy();
      held = await connect(vip, 6379);
    }
    await mesh.stopControl();
    await until(
      'control is missed',
      () => one.status(),
      ({ state }) => state === 'stale',
    );
    const stopped = one.stop();
    await until('all go to the other one', asked, (who) => who === 'second,second,second');
    expect(await asked()).toBe('second,second,second');
    held.destroy();
    await stopped;
  });

  test('where all that serve it stop together, it is served to the end', async () => {
    const hosts = await Promise.all(
      programs.map(({ port }, at) =>
        mesh.agent(`last-${at}`, { workers, drainMs: 60_000, services: { redis: { 6379: port } } }),
      ),
    );
    const vip = await near.vip('redis', 2);
    const load = callAllTheTime(vip, 6379);
    const held = new Map<string, net.Socket>();
    await until(
      'a flow through each',
      async () => {
        const socket = await connect(vip, 6379);
        const name = await hears(socket);
        if (held.has(name)) socket.destroy();
        else held.set(name, socket);
        return held.size;
      },
      (size) => size === 2,
    );
    const stopped = Promise.all(hosts.map((host) => host.stop()));
    for (let round = 0; round < 20; round++) {
      load.answers.clear();
      await until(
        'answers',
        async () => load.answers.size,
        (size) => size > 0,
      );
      expect([...load.answers.keys()]).not.toContain('failed');
    }
    await load.end();
    for (const socket of held.values()) socket.destroy();
    await stopped;
  });
});

const asksBoth = (vip: string) => Promise.all([call(vip, 25001), call(vip, 25002)]);

/** Who answers at each port, in as many calls as two instances need to take their turn. */
async function asksBothOften(vip: string): Promise<readonly [string, string]> {
  const answers = [await asksBoth(vip), await asksBoth(vip), await asksBoth(vip)];
  expect(answers.flat()).not.toContain('failed');
  const said = (at: 0 | 1) => [...new Set(answers.map((pair) => pair[at]))].join('|');
  return [said(0), said(1)];
}

function answers(...wanted: readonly string[]) {
  return (found: readonly (string | undefined)[]) =>
    wanted.every((each, at) => new RegExp(`^(${each})$`).test(found[at] ?? ''));
}

/** Of the host's own instance, as its name says at `near`. */
async function addressOf(service: string, host: string): Promise<string> {
  const { services } = await mesh.ask(adminService.listServices, { network: NETWORK });
  const instances = services.find((each) => each.service?.name === service)?.instances ?? [];
  const ordinal = instances.find((each) => each.host === host)?.ordinal;
  const resolver = new Resolver();
  resolver.setServers([(await near.status()).dns]);
  const [address] = await resolver.resolve4(`${ordinal}.${service}.internal`);
  if (address === undefined) throw new Error(`${service} on ${host} has no address`);
  return address;
}
