/** An agent that is stopped in order and started again, under load: calls go to the other instance, and what is cut is recorded. */
import net from 'node:net';
import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { ending, hears, named, says, type TcpProgram } from './programs.ts';

const MESH = `
services:
  redis: { kind: private, ports: [6379] }
  alone: { kind: private, ports: [7000] }
`;

let mesh: Mesh;
let near: Agent;
let programs: readonly TcpProgram[];

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  programs = await Promise.all([named('first'), named('second')]);
  near = await mesh.agent('near');
});
afterAll(async () => {
  await mesh.close();
  await Promise.all(programs.map((program) => program.stop()));
});

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
    const names = [`one-${workers}`, `two-${workers}`] as const;
    const one = await mesh.agent(names[0], {
      ...{ workers, drainMs: 1_000 },
      services: { redis: { 6379: first?.port ?? 0 }, alone: { 7000: first?.port ?? 0 } },
    });
    const two = await mesh.agent(names[1], { workers, services: { redis: { 6379: second?.port ?? 0 } } });
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
      (hosts) => !hosts.includes(names[0]),
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
    expect(new Set(told)).toEqual(
      new Set(Array.from({ length: workers }, (_, before) => `cut at one-${before + 1}: the agent stops`)),
    );
    await Promise.all([one.stop(), two.stop()]);
    for (const agent of names) await mesh.ask(adminService.revokeAgent, { network: NETWORK, agent });
  });
});
