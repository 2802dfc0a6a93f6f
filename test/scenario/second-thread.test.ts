/** A second thread while bulk moves: what is new beside bulk is carried there, at both ends, and is as any other flow. */
import { once } from 'node:events';
import net from 'node:net';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SETTLED_MS, until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, type Program, says } from './programs.ts';

const services = (rules = ''): string => `
services:
  bulk:  { kind: private, ports: [5001] }
  redis: { kind: private, ports: [6379] }
${rules}
`;
const LIMITS = { second: { rest: 1_500, settle: 500, again: 2_000, back: 0, calm: 1_000 } };
const MANY = 200;
const FEW = 20;

let mesh: Mesh;
let near: Agent;
let data: Agent;
let third: Agent;
let program: Program;
const sink = net.createServer((socket) => void socket.on('error', () => {}).resume());

beforeAll(async () => {
  mesh = await Mesh.start(services());
  program = await echo();
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const { port } = sink.address() as net.AddressInfo;
  data = await mesh.agent('data', {
    services: { bulk: { 5001: port }, redis: { 6379: program.port } },
    limits: LIMITS,
  });
  near = await mesh.agent('near', { limits: LIMITS });
  third = await mesh.agent('third', {});
});
afterAll(async () => {
  sink.close();
  await mesh.close();
  await program.stop();
});

/** Some 16 MiB a second, until it is ended. */
function pour(socket: net.Socket): () => void {
  const piece = Buffer.alloc(2 ** 20);
  socket.on('error', () => {});
  const timer = setInterval(() => {
    if (socket.writableLength < 2 * piece.length) socket.write(piece);
  }, 60);
  return () => {
    clearInterval(timer);
    socket.destroy();
  };
}

const state = (agent: Agent, wanted: string) =>
  until(
    `the second thread of ${agent.host} is ${wanted}`,
    () => agent.status(),
    ({ second }) => second?.state === wanted,
    SETTLED_MS,
  );
const open = async (agent: Agent) => (await agent.status()).workers.map(({ flows }) => flows.open);

test('a new connection beside bulk is carried by the second thread at both ends, is cut and recorded as any, and leaves it', async () => {
  const alone = await near.connect('redis', 6379);
  await says(alone, 'before');
  // A host that carries no bulk itself, and has a tunnel to the first thread.
  const early = await third.connect('redis', 6379);
  await says(early, 'early');
  early.destroy();
  expect((await near.status()).second).toEqual({ state: 'off', cause: '' });
  const stop = pour(await near.connect('bulk', 5001));
  await Promise.all([state(near, 'on'), state(data, 'on')]);

  const calls = await Promise.all(Array.from({ length: MANY }, () => near.connect('redis', 6379)));
  await Promise.all(calls.map((call, at) => says(call, `call ${at}`)));
  // Bulk, and what was there before it, stays where it began.
  for (const agent of [near, data])
    await until(
      `flows of ${agent.host}`,
      () => open(agent),
      (told) => told[0] === 2 && told[1] === MANY,
    );
  await says(alone, 'and after');

  const others = await Promise.all(Array.from({ length: FEW }, () => third.connect('redis', 6379)));
  await Promise.all(others.map((call, at) => says(call, `other ${at}`)));
  await until(
    'flows of third at data',
    () => open(data),
    (told) => told[0] === 2 && told[1] === MANY + FEW,
  );
  // UDP between them passes beside the tunnel as beside any.
  await until(
    'packets beside the tunnel',
    async () => (await third.status()).tunnel.peers,
    (peers) => peers.length === 1 && peers.every(({ tunnels, pathSize }) => tunnels === 1 && pathSize > 0),
  );

  const gone = [alone, ...calls, ...others].map(ending);
  await mesh.apply(
    services('policies: [{ name: shut, action: deny, from: ["host:near", "host:third"], to: [redis] }]'),
  );
  expect(new Set(await Promise.all(gone))).toEqual(new Set(['reset']));
  // And of the early one.
  const records = (await mesh.recorded('redis', MANY + FEW + 2)).filter(({ outcome }) => outcome === 'cut');
  expect(records).toHaveLength(MANY + FEW + 1);
  expect(
    new Set(records.map(({ outcome, rule, source, instance }) => [outcome, rule, source, instance].join(' '))),
  ).toEqual(new Set(['cut shut host:near redis/0', 'cut shut host:third redis/0']));

  stop();
  await Promise.all([state(near, 'off'), state(data, 'off')]);
  const { workers, tunnel, flows } = await near.status();
  expect(workers).toHaveLength(1);
  expect(flows.open).toBe(0);
  expect(tunnel.bytesSent).toBeGreaterThan(workers[0]?.tunnel.bytesSent ?? 0);
});

test('the end of a second thread ends what it carries and nothing else, and is told of', async () => {
  await mesh.apply(services());
  const threads: Worker[] = [];
  const begun = (thread: Worker) => {
    if (thread.threadName === 'weft worker 1') threads.push(thread);
  };
  process.on('worker', begun);
  const alone = await near.connect('redis', 6379);
  await says(alone, 'before');
  const stop = pour(await near.connect('bulk', 5001));
  await Promise.all([state(near, 'on'), state(data, 'on')]);
  process.off('worker', begun);
  const calls = await Promise.all(Array.from({ length: FEW }, () => near.connect('redis', 6379)));
  await Promise.all(calls.map((call, at) => says(call, `call ${at}`)));
  const gone = calls.map(ending);
  // That of near, or of data: either carries all of them.
  await threads[0]?.terminate();
  await Promise.all(gone);
  await says(alone, 'and after');
  const later = await near.connect('redis', 6379);
  await says(later, 'a new one');
  await until(
    'one of the two tells of it',
    () => Promise.all([near.status(), data.status()]),
    (told) => told.some(({ second }) => second?.cause === 'it ended: exit 1'),
    SETTLED_MS,
  );
  stop();
  for (const call of [alone, later]) call.destroy();
  await Promise.all([state(near, 'off'), state(data, 'off')]);
});

test('a stop cuts what the second thread carries, with its record', async () => {
  await mesh.apply(services());
  const before = (await mesh.records('redis')).length;
  const stop = pour(await near.connect('bulk', 5001));
  await Promise.all([state(near, 'on'), state(data, 'on')]);
  const call = await near.connect('redis', 6379);
  await says(call, 'hello');
  const ended = ending(call);
  await near.stop();
  stop();
  expect(await ended).toBe('reset');
  const records = await mesh.recorded('redis', before + 1);
  expect(records.at(-1)).toMatchObject({ outcome: 'reset', source: 'host:near', bytesSent: 5, bytesReceived: 5 });
});
