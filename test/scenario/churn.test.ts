import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

const MESH = `
services:
  east: { kind: private, ports: [9000] }
  west: { kind: private, ports: [9000] }
`;
/** Of each side; both go at once. */
const BATCH = 500;
const BATCHES = 5;

let mesh: Mesh;
let near: Agent;
let far: Agent;
let program: TcpProgram;

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  program = await echo();
  const target = { 9000: program.port };
  // Answers take this long to come back: time enough to have a batch asked for, and most of it not answered.
  const relay = { delay: 150 };
  far = await mesh.agent('far', { services: { east: target }, relay });
  near = await mesh.agent('near', { services: { west: target }, relay });
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

async function flowsOpen(): Promise<number> {
  const [one, other] = await Promise.all([near.status(), far.status()]);
  return one.flows.open + other.flows.open;
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Half of them are reset before the answer; of the others, which are answered, one in three is closed in order. */
async function batch(vips: readonly string[]): Promise<void> {
  const vipsEach = vips.flatMap((vip) => Array<string>(BATCH).fill(vip));
  const sockets = await Promise.all(vipsEach.map((vip) => connect(vip, 9000)));
  // A connection that is reset before it is accepted is none: so all are waited for, at both their ends.
  await until('flows to be asked for', flowsOpen, (open) => open >= 2 * sockets.length);
  const answered: Socket[] = [];
  for (const [index, socket] of sockets.entries()) {
    if (index % 2 === 0) socket.resetAndDestroy();
    else answered.push(socket);
  }
  await Promise.all(answered.map((socket) => says(socket, 'hello')));
  const endings = answered.map(ending);
  for (const [index, socket] of answered.entries()) {
    if (index % 3 === 0) socket.end();
    else socket.resetAndDestroy();
  }
  await Promise.all(endings);
  await until('no flow', flowsOpen, (open) => open === 0);
}

test('five thousand calls from both sides at once, most of them reset: one record each, and nothing left behind', async () => {
  const vips = [await near.vip('east'), await far.vip('west')];
  for (const vip of vips) await says(await connect(vip, 9000), 'a tunnel each way');
  for (const socket of program.sockets) socket.resetAndDestroy();
  await until('no flow', flowsOpen, (open) => open === 0);
  const files = openFiles();
  for (let count = 0; count < BATCHES; count++) await batch(vips);

  await until('files to be closed', openFiles, (now) => now <= files + 20);
  for (const service of ['east', 'west']) {
    const records = await mesh.recorded(service, 1 + BATCH * BATCHES);
    const outcomes = Object.groupBy(records.slice(1), ({ outcome }) => outcome);
    expect(new Set(Object.keys(outcomes))).toEqual(new Set(['closed', 'reset']));
    expect(outcomes.closed?.every(({ bytesSent, bytesReceived }) => bytesSent === 5 && bytesReceived === 5)).toBe(true);
  }
  for (const vip of vips) {
    const socket = await connect(vip, 9000);
    await says(socket, 'as if nothing had been');
    socket.resetAndDestroy();
  }
}, 60_000);
