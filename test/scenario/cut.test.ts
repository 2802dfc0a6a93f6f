import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, ending, hears, says, type TcpProgram } from './programs.ts';

let mesh: Mesh;
let near: Agent;
let far: Agent;
let program: TcpProgram;
/** Calls so far, each of which leaves one record. */
let flows = 0;

beforeAll(async () => {
  mesh = await Mesh.start('services:\n  torn: { kind: private, ports: [9000] }\n');
  program = await echo();
  far = await mesh.agent('far', { services: { torn: { 9000: program.port } }, relay: {} });
  near = await mesh.agent('near');
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

/** A connection that has been answered, and the service's end of it. */
async function open(): Promise<readonly [Socket, Socket]> {
  const client = await near.connect('torn', 9000);
  await says(client, 'hello');
  flows += 1;
  const service = program.sockets.at(-1);
  if (service === undefined) throw new Error('the service has not heard of it');
  return [client, service];
}

/** Of a record of 100 bytes: in its header, at its end, in the frame's header, in the ciphertext, in the tag. */
const PLACES = [1, 3, 4, 5, 13, 60, 113, 114, 128];

test('what a caller says at once gets to the program with its call, before any answer to that', async () => {
  const [idle] = await open();
  const known = program.sockets.length;
  far.relay.hold();
  const client = await near.connect('torn', 9000);
  flows += 1;
  client.write('first words');
  await until('the program has heard them', () => program.sockets[known]?.bytesRead === 11);
  far.relay.release();
  expect(await hears(client)).toBe('first words');
  await says(client, ' and more');
  client.end();
  idle.end();
  await near.idle();
  await far.idle();
  expect((await mesh.recorded('torn', flows)).at(-1)).toMatchObject({
    outcome: 'closed',
    bytesSent: 20,
    bytesReceived: 20,
  });
});

test('a call whose tunnel breaks before an answer is not made again: the program may have done what it asks', async () => {
  await open();
  const known = program.sockets.length;
  far.relay.hold();
  const client = await near.connect('torn', 9000);
  flows += 1;
  client.write('once');
  await until('the program has heard it', () => program.sockets[known]?.bytesRead === 4);
  const ended = ending(client);
  far.relay.cut();
  expect(await ended).toBe('reset');
  await near.idle();
  await far.idle();
  expect(program.sockets).toHaveLength(known + 1);
});

test('a tunnel that is cut inside a record: both programs see a reset, one record is kept, the next call is served', async () => {
  const before = flows;
  for (const direction of ['forth', 'back'] as const) {
    for (const how of ['reset', 'end'] as const) {
      for (const after of PLACES) {
        const [client, service] = await open();
        const idle = await open();
        const endings = [client, service, ...idle].map(ending);
        far.relay.cutAfter({ after, direction, how });
        client.write(Buffer.alloc(100, 'x'));
        expect({ direction, how, after, seen: await Promise.all(endings) }).toEqual({
          direction,
          how,
          after,
          seen: ['reset', 'reset', 'reset', 'reset'],
        });
      }
    }
  }
  const [client] = await open();
  const closed = ending(client);
  client.end();
  expect(await closed).toBe('closed');
  await near.idle();
  await far.idle();
  const records = await mesh.recorded('torn', flows);
  expect(records.slice(before, -1).every(({ outcome, bytesSent }) => outcome === 'reset' && bytesSent >= 5)).toBe(true);
  expect(records.at(-1)).toMatchObject({ outcome: 'closed', bytesSent: 5, bytesReceived: 5 });
  // The cut ones are gone, and were not mistaken for a peer that breaks the protocol.
  await until('one tunnel', async () => (await near.status()).tunnel.open === 1);
});
