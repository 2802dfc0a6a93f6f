/** `weft flows --follow` over a restart of control. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../packages/agent/src/cli/program.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

let mesh: Mesh;
let near: Agent;
let program: TcpProgram;

beforeAll(async () => {
  mesh = await Mesh.start('services:\n  redis: { kind: private, ports: [6379] }\n');
  program = await echo();
  await mesh.agent('far', { services: { redis: { 6379: program.port } } });
  near = await mesh.agent('near');
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

async function call(): Promise<void> {
  const socket = await near.connect('redis', 6379);
  await says(socket, 'hello');
  socket.end();
  await ending(socket);
}

test('each flow is printed once, also what ended while control was away', async () => {
  const ids: string[] = [];
  let err = '';
  const stop = new AbortController();
  const terminal = {
    out: (text: string) => void ids.push((JSON.parse(text) as { id: string }).id),
    err: (text: string) => {
      err += text;
    },
    bytes: () => ({ input: process.stdin, output: process.stdout }),
    ...{ outColors: false, errColors: false, env: mesh.environment, now: Date.now },
  };
  await call();
  await mesh.recorded('redis', 1);
  const following = run(['flows', '--follow', '--json'], terminal, stop.signal);
  const printed = (count: number) =>
    until(
      `${count} flows printed`,
      () => Promise.resolve(ids.length),
      (length) => length >= count,
    );
  await call();
  await printed(2);
  await mesh.stopControl();
  await call();
  await call();
  await mesh.startControl();
  await printed(4);
  await call();
  await printed(5);
  stop.abort();
  expect(await following).toBe(0);
  expect(ids).toHaveLength(5);
  expect(new Set(ids)).toEqual(new Set((await mesh.recorded('redis', 5)).map(({ id }) => id)));
  expect(err).toMatch(/^warning: control at \S+ does not answer; .*\ncontrol is back\n$/);
});
