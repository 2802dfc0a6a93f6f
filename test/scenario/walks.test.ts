/** How many files one thing passes on its way through the programs, as V8 counts the functions that ran: held against ARCHITECTURE.md. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { Session } from 'node:inspector/promises';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import dnsPacket from 'dns-packet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { read, tableRows } from '../docs/sources.ts';
import { until } from '../harness/until.ts';
import type { Agent } from './agent.ts';
import { Mesh } from './mesh.ts';
import { echo, type TcpProgram } from './programs.ts';

const MESH = `
services:
  echo: { kind: private, ports: [9000] }
  pong: { kind: private, ports: [9001/udp] }
  shop: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example] } }
`;
/** Told who asks for the numbers, which are then those of so many runs at least. */
const TOLD = process.env.WEFT_WALKS !== undefined;
const RUNS = 8;
const MOST_RUNS = 80;

const session = new Session();
const web = http.createServer((_request, response) => response.end('ok'));
const udp = dgram.createSocket('udp4');
let program: TcpProgram;
let mesh: Mesh;
let near: Agent;
let edge: Agent;

beforeAll(async () => {
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  mesh = await Mesh.start(MESH);
  program = await echo();
  web.listen(0, '127.0.0.1');
  udp.bind(0, '127.0.0.1');
  await Promise.all([once(web, 'listening'), once(udp, 'listening')]);
  udp.on('message', (payload, { port, address }) => udp.send(payload, port, address));
  await mesh.agent('far', {
    services: {
      echo: { 9000: program.port },
      pong: { '9001/udp': udp.address().port },
      shop: { 3000: (web.address() as AddressInfo).port },
    },
  });
  near = await mesh.agent('near');
  edge = await mesh.agent('edge', { gateway: { host: '127.0.0.1', port: 0 } });
  await edge.vip('shop');
});
afterAll(async () => {
  session.disconnect();
  await mesh.close();
  await program.stop();
  web.close();
  udp.close();
});

/** Files of the three packages in which a function ran since the last look. */
async function ran(): Promise<ReadonlySet<string>> {
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const files = new Set<string>();
  for (const { url, functions } of result) {
    const [, path] = /packages\/((?:agent|control|proto)\/(?:src|dist)\/.*)\.[jt]s$/.exec(url) ?? [];
    if (path === undefined) continue;
    if (functions.some(({ functionName, ranges }) => functionName !== '' && ranges.some(({ count }) => count > 0)))
      files.add(path.replace('/dist/', '/src/'));
  }
  return files;
}

/** Until what ended before, such as a connection whose record is on its way, keeps nobody busy; what never ends is no walk's. */
async function quiet(): Promise<void> {
  for (let looks = 0; looks < 100; looks++) {
    await ran();
    await sleep(20);
    if ((await ran()).size === 0) return;
  }
}

/** Those of each run: what runs meanwhile for another reason, such as a timer, is not of the walk, so one run more may only take away. */
async function walk(work: () => Promise<unknown>, files: number): Promise<number> {
  let common: readonly string[] = [];
  for (let run = 0; run < MOST_RUNS; run++) {
    await quiet();
    await work();
    const these = await ran();
    common = run === 0 ? [...these] : common.filter((file) => these.has(file));
    if (common.length <= files && (!TOLD || run + 1 >= RUNS)) break;
  }
  return common.length;
}

async function connection(vip: string): Promise<void> {
  const socket = net.connect(9000, vip).on('error', () => undefined);
  socket.write('x');
  await once(socket, 'data');
  socket.destroy();
}

async function ask(port: number, address: string, payload: Uint8Array): Promise<void> {
  const socket = dgram.createSocket('udp4');
  socket.send(payload, port, address);
  await once(socket, 'message');
  socket.close();
}

const rows = tableRows(read('docs/ARCHITECTURE.md'), '## Walks');

test('no walk passes more files than ARCHITECTURE.md says', async () => {
  const vip = await near.vip('echo');
  const pong = await near.vip('pong');
  const { gateway, dns } = await until(
    'the gateway',
    () => edge.status(),
    ({ gateway: address }) => address !== '',
  );
  const [host = '', port] = gateway.split(':');
  const names = dns.split(':');
  let applied = 0;
  const walks: Readonly<Record<string, () => Promise<unknown>>> = {
    'a connection': () => connection(vip),
    'a datagram': () => ask(9001, pong, Buffer.from('x')),
    'an apply': () => {
      applied += 1;
      const policy = `{ name: p${applied}, action: deny, from: [shop], to: [shop], ports: [3000] }`;
      return mesh.apply(`${MESH}policies:\n  - ${policy}\n`);
    },
    'a flow record': async () => {
      const { length } = await mesh.records('echo');
      await ran();
      await connection(vip);
      await mesh.recorded('echo', length + 1);
    },
    'a question': () =>
      ask(
        Number(names[1]),
        names[0] ?? '',
        dnsPacket.encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'echo.internal' }] }),
      ),
    'a gateway request': async () => {
      const request = http.get({ host, port, headers: { host: 'shop.example' }, agent: false });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.resume();
      await once(response, 'end');
    },
  };
  expect(rows.map(([name]) => name)).toEqual(Object.keys(walks));
  const counted: string[] = [];
  for (const [name, files] of rows) {
    const work = walks[name ?? ''] ?? (() => Promise.reject(new Error(`no walk ${name}`)));
    const count = await walk(work, Number(files));
    if (count > Number(files)) counted.push(`${name}: ${count} files, of ${files}`);
    if (TOLD) process.stdout.write(`${name}: ${count}\n`);
  }
  expect(counted).toEqual([]);
}, 120_000);
