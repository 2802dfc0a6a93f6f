/** A server that answers and closes while its caller still sends: the answer is read all the same, as on a direct connection. */
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deadline } from '../../packages/agent/src/bytes/deadline.ts';
import { connectSocket } from '../../packages/agent/src/bytes/socket.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { ending, serveTcp, type TcpProgram } from './programs.ts';

const HOST = 'shop.example.com';
const MESH = `
services:
  shop: { kind: web, ports: [3000], public: { port: 3000, hosts: [${HOST}] } }
  local: { kind: private, ports: [3000] }
  broken: { kind: private, ports: [3000] }
`;
const BODY = Buffer.alloc(5 << 20, 'x');
const CALLS = 20;

let mesh: Mesh;
let near: Agent;
let program: TcpProgram;
/** Bytes of the answer. */
let size = 2;
let gateway: net.Socket['remoteAddress'];

/** Answers at the first byte, and closes with the rest unread: the system resets the connection behind the answer. */
function refuse(socket: net.Socket): void {
  socket.once('data', () => {
    socket.pause();
    const head = `HTTP/1.1 413 Content Too Large\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`;
    socket.write(head + 'n'.repeat(size), () => socket.destroy());
  });
}

beforeAll(async () => {
  mesh = await Mesh.start(MESH);
  program = await serveTcp(refuse);
  const target = { 3000: program.port };
  await mesh.agent('far', { services: { shop: target } });
  near = await mesh.agent('near', { services: { local: target }, gateway: { host: '127.0.0.1', port: 0 } });
  await near.vip('shop');
  await near.vip('local');
  const status = await until(
    'the gateway',
    () => near.status(),
    ({ gateway: address }) => address !== '',
  );
  gateway = status.gateway;
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

/** Bytes heard by a client that sends its body whatever comes back, and reads to the end whatever becomes of that. */
async function heard(host: string, port: number): Promise<string> {
  const { conduit } = await connectSocket({ host, port, deadline: new Deadline(5_000) });
  const pieces: string[] = [];
  return await new Promise((resolve) => {
    conduit.attach({
      data: (piece) => void pieces.push(piece.toString()),
      end: () => conduit.end(),
      drain: () => undefined,
      closed: () => resolve(pieces.join('')),
    });
    conduit.write(
      Buffer.from(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nContent-Length: ${BODY.length}\r\n\r\n`),
      true,
    );
    conduit.write(BODY, true);
  });
}

const ways: readonly [string, () => Promise<readonly [string, number]>][] = [
  ['a direct connection', () => Promise.resolve(['127.0.0.1', program.port])],
  ['a tunnel', async () => [await near.vip('shop'), 3000]],
  ['a VIP of the same host', async () => [await near.vip('local'), 3000]],
];

describe.each([2, 50_000])('an answer of %i bytes', (bytes) => {
  test.each(ways)('is read through %s', async (_way, where) => {
    size = bytes;
    const [host, port] = await where();
    for (let call = 0; call < CALLS; call += 1) {
      const answer = await heard(host, port);
      expect([answer.slice(0, 12), answer.length - answer.indexOf('\r\n\r\n') - 4]).toEqual(['HTTP/1.1 413', bytes]);
    }
  });

  test('is read through the gateway', async () => {
    size = bytes;
    const { hostname, port } = new URL(`http://${gateway}`);
    for (let call = 0; call < CALLS; call += 1) {
      const answer = await heard(hostname, Number(port));
      expect([answer.slice(0, 12), answer.length - answer.indexOf('\r\n\r\n') - 4]).toEqual(['HTTP/1.1 413', bytes]);
    }
  });
});

test('a reset in the middle of an answer stays a reset', async () => {
  const broken = await serveTcp((each) => each.once('data', () => each.write('half', () => each.resetAndDestroy())));
  const other = await mesh.agent('other', { services: { broken: { 3000: broken.port } } });
  const client = net.connect(3000, await other.vip('broken'));
  let words = '';
  client.on('data', (piece) => {
    words += String(piece);
  });
  client.write('ask');
  expect(await ending(client)).toBe('reset');
  expect(words).toBe('half');
  await broken.stop();
});
