/** Programs with few files to open: what is new is refused and told, what runs goes on, and it mends by itself. */
import dns from 'node:dns/promises';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { viewDashboard } from '../harness/dashboard-viewer.ts';
import { createLocalLab, type Lab } from '../harness/host.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const cleanup = new AsyncDisposableStack();
let lab: Lab;
let control: Control;
let port: number;
let target: number;
/** Of control. */
let listeners: { readonly dashboard: string; readonly metrics: string };
const server = net.createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
/** A page that goes on for as long as its client stays. */
const pages = http.createServer((_request, response) => {
  response.write('begun');
  const more = setInterval(() => response.write('.'), 100);
  response.on('close', () => clearInterval(more));
});
const mesh = (more = ''): string => `
network: prod
services:
  echo: { kind: private, ports: [${port}] }
  web:  { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
${more}`;

beforeAll(async () => {
  lab = cleanup.use(createLocalLab());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  target = (server.address() as net.AddressInfo).port;
  port = await freePort();
  const ports = { control: await freePort(), dashboard: await freePort() };
  listeners = { dashboard: `127.0.0.1:${ports.dashboard}`, metrics: `127.0.0.1:${await freePort()}` };
  control = await Control.start(await lab.host('main'), ports, ['--metrics', listeners.metrics], 256);
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  await control.apply(mesh());
});
afterAll(async () => {
  await cleanup.disposeAsync();
  server.close();
  pages.close();
});

interface Joined {
  readonly agent: Agent;
  readonly dns: number;
}

async function joined(name: string, service: string, fileLimit?: number, gateway?: string): Promise<Joined> {
  const host = await lab.host(name);
  const scope = ['--host', name, '--services', service, ...(gateway === undefined ? [] : ['--gateway'])];
  const token = await control.ok('token', 'create', '--network', 'prod', ...scope);
  const shared = {
    tunnel: await freePort(),
    dns: await freePort(),
    range: freeRange(),
  };
  const [own, at] = service === 'echo' ? [port, target] : [3000, (pages.address() as net.AddressInfo).port];
  const open = gateway === undefined ? '' : `, gateway: { http: "${gateway}" }`;
  const config = `{ services: { ${service}: { targets: { ${own}: "127.0.0.1:${at}" } } }${open} }`;
  const options = { token, config, shared, ...(fileLimit === undefined ? {} : { fileLimit }) };
  return { agent: await Agent.start(host, options), dns: shared.dns };
}

async function connect(from: Joined): Promise<net.Socket> {
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 3 });
  resolver.setServers([`127.0.0.1:${from.dns}`]);
  const [host = ''] = await resolver.resolve4('echo.internal');
  const socket = net.connect({ host, port });
  socket.on('error', () => {});
  return socket;
}

/** `open` when it answered, else how it ended. */
async function outcome(socket: net.Socket): Promise<string> {
  socket.write('hello');
  return await new Promise((resolve) => {
    socket.setTimeout(10_000, () => resolve('silent'));
    socket.once('data', () => resolve('open'));
    socket.once('end', () => resolve('end of file'));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

async function echoes(from: Joined): Promise<void> {
  await until(
    'a call is carried',
    async () => {
      const socket = await connect(from);
      const told = await outcome(socket);
      socket.destroy();
      return told;
    },
    (told) => told === 'open',
    SETTLED_MS,
  );
}

/** Connections that come to a port as fast as they can, each with its words, and what became of them. */
class Crowd implements Disposable {
  readonly members: readonly { readonly socket: net.Socket; said: string; gone: boolean }[];
  /** All were taken or closed: what comes behind them is heard after them. */
  readonly came: Promise<unknown>;

  constructor(address: string, count: number, words: readonly string[]) {
    const [host = '', at = ''] = address.split(':');
    this.members = Array.from({ length: count }, (_, index) => {
      const socket = net.connect({ host, port: Number(at) }).setEncoding('latin1');
      const member = { socket, said: '', gone: false };
      socket.on('data', (piece: string) => {
        member.said += piece;
      });
      socket
        .on('error', () => {})
        .on('close', () => {
          member.gone = true;
        });
      socket.write(words[index % words.length] ?? '');
      return member;
    });
    this.came = Promise.all(this.members.map(({ socket }) => once(socket, 'connect').catch(() => {})));
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.members) socket.destroy();
  }
}

/** A request, to be ended by an empty line. */
const request = (path: string, host = 'localhost'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
/** Silence, half a request, and a whole one. */
const words = (head: string): readonly string[] => ['', head, `${head}\r\n`];

interface Told {
  readonly problems: readonly { readonly code: string; readonly subject: string; readonly message: string }[];
}

async function status({ agent }: Joined): Promise<Told> {
  return await agent.status<Told>();
}

async function shortOf(agent: Joined, subject: string, standing: boolean): Promise<void> {
  await until(
    standing ? 'the problem stands' : 'the problem is solved',
    async () => (await status(agent)).problems.some((one) => one.code === 'too-many-files' && one.subject === subject),
    (stands) => stands === standing,
    SETTLED_MS,
  );
}

test('a service of more ports than the agent has files leaves it alive, also at its next start', async () => {
  const data = await joined('data', 'echo');
  const small = await joined('small', 'web', 1_024);
  await echoes(small);
  const many = mesh('  many: { kind: private, ports: [20000-20999/udp] }');
  const planned = await control.weft('apply', '-f', control.meshFile(many), '--dry-run');
  expect(planned.stdout + planned.stderr).toMatch(/1004 places in all; small \(448\) can/);
  await control.apply(many);
  await shortOf(small, 'listeners', true);
  await echoes(small);
  await small.agent.process.kill();
  await small.agent.restart();
  await echoes(small);
  await shortOf(small, 'listeners', true);
  expect((await status(small)).problems).toMatchObject([
    { code: 'too-many-files', subject: 'listeners', message: expect.stringMatching(/many \(first \d+ of 1000\)/) },
  ]);
  await control.apply(mesh(), '--wait');
  await shortOf(small, 'listeners', false);
  await small.agent.process.kill();
  await data.agent.process.kill();
});

test('more idle connections of one peer than a host has files are refused there, told, and taken again after', async () => {
  const data = await joined('few', 'echo', 1_024);
  const front = await joined('front', 'web');
  await echoes(front);
  const held = await Promise.all(Array.from({ length: 1_100 }, () => connect(front)));
  const ends = await Promise.all(held.map(outcome));
  expect(ends.filter((end) => end === 'open').length).toBeGreaterThan(700);
  expect(new Set(ends)).toEqual(new Set(['open', 'ECONNRESET']));
  await shortOf(data, 'agent', true);
  const records = await until(
    // Each look is a command that lists them all.
    'the records',
    async () =>
      (await control.ok('flows', '--json', '--outcome', 'overloaded', '--limit', '2000')).split('\n').filter(Boolean),
    (found) => found.length >= ends.filter((end) => end !== 'open').length,
    SETTLED_MS,
  );
  expect(JSON.parse(records[0] ?? '')).toMatchObject({ outcome: 'overloaded', service: 'echo' });
  await until(
    'both instances are healthy, also the one that is full',
    async () => {
      const { services }: { services: { service: { name: string }; instances: { healthy: boolean }[] }[] } = JSON.parse(
        await control.ok('services', '--json'),
      );
      return services.find(({ service }) => service.name === 'echo')?.instances.map(({ healthy }) => healthy);
    },
    (healthy) => healthy?.length === 2 && healthy.every(Boolean),
    SETTLED_MS,
  );
  for (const socket of held) socket.destroy();
  await echoes(front);
  await shortOf(data, 'agent', false);
  await data.agent.process.kill();
  await front.agent.process.kill();
});

test('with the fewest files that they start with both programs serve, and with one fewer they do not start', async () => {
  const own = { control: await freePort(), dashboard: await freePort() };
  const tight = await Control.start(await lab.host('tight'), own, [], 128);
  await tight.apply(mesh());
  expect(await tight.ok('status')).toContain('prod');
  await tight.process.kill();
  // As many places as it may have beside its flows.
  await control.apply(mesh('  many: { kind: private, ports: [20000-20099/udp] }'));
  const data = await joined('least-data', 'echo', 128);
  const least = await joined('least', 'web', 128);
  await shortOf(least, 'listeners', true);
  await echoes(least);
  await least.agent.process.kill();
  await data.agent.process.kill();
  await control.apply(mesh(), '--wait');

  const said = /may have 127 files open and needs 128 .*ulimit -Hn/;
  for (const argv of [
    ['weft', 'up', '--data', join(data.agent.host.dir, 'agent')],
    ['weft-control', 'serve', '--data', tight.dataDir],
  ]) {
    const { code, stderr } = await data.agent.host.run(['sh', '-c', 'ulimit -n 127 && exec "$0" "$@"', ...argv]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(said) });
  }
});

test('an agent of 128 files ends no call without a record', async () => {
  const data = await joined('many', 'echo');
  const source = await joined('source', 'web', 128);
  await echoes(source);
  const calls = await Promise.all(Array.from({ length: 300 }, () => connect(source)));
  const ends = await Promise.all(calls.map(outcome));
  expect(new Set(ends)).toEqual(new Set(['open', 'ECONNRESET']));
  await shortOf(source, 'agent', true);
  const refused = ends.filter((end) => end !== 'open').length;
  await until(
    // Each look is a command that lists them all.
    'the records',
    async () =>
      (await control.ok('flows', '--json', '--outcome', 'overloaded', '--limit', '2000'))
        .split('\n')
        .filter((one) => one.includes('"source_host":"source"')).length,
    (count) => count >= refused,
    SETTLED_MS,
  );
  for (const socket of calls) socket.destroy();
  await echoes(source);
  await source.agent.process.kill();
  await data.agent.process.kill();
});

test('connections beyond a gateway’s files leave it all that it does, and are refused and told', async () => {
  const door = `127.0.0.1:${await freePort()}`;
  const data = await joined('behind', 'echo');
  const gate = await joined('gate', 'web', 160, door);
  await echoes(gate);
  const page = request('/', 'shop.example.com');
  const ask = async (): Promise<Crowd> => {
    const one = new Crowd(door, 1, [`${page}\r\n`]);
    await until('an answer', () => /^HTTP.*\r\n\r\n./s.test(one.members[0]?.said ?? ''));
    return one;
  };
  const served = async (): Promise<Crowd> =>
    await until('a page', ask, ({ members }) => members[0]?.said.includes('begun') === true, SETTLED_MS);
  using before = await served();
  const known = before.members[0];
  {
    using crowd = new Crowd(door, 150, words(page));
    await crowd.came;
    // Each that is served takes one of the places that the crowd has left, and puts out one that sits there and asks nothing.
    await until('one too many', ask, ({ members }) => /^HTTP\/1.1 503 /.test(members[0]?.said ?? ''), SETTLED_MS);
    await until(
      'who is not served is closed',
      () => crowd.members.filter(({ said, gone }) => said === '' && !gone).length,
      // A place in eight is for newcomers.
      (waiting) => waiting <= 4,
    );
    const told = await status(gate);
    // So many of one address are refused in a second that their records are held together, which is told beside it.
    const crowded = expect.objectContaining({ code: 'too-many-clients', subject: 'gateway' });
    expect(told).toMatchObject({ state: 'connected', problems: expect.arrayContaining([crowded]) });
    await echoes(gate);
    expect(await control.ok('agents')).toMatch(/^gate +connected/m);
    const [record = ''] = await until(
      'the record',
      async () =>
        (await control.ok('flows', '--json', '--outcome', 'overloaded'))
          .split('\n')
          .filter((one) => one.includes('"source":"internet"')),
      (found) => found.length > 0,
      SETTLED_MS,
    );
    expect(JSON.parse(record)).toMatchObject({ source: 'internet', source_host: 'gate', outcome: 'overloaded' });
    const heard = known?.said.length ?? 0;
    await until('what ran goes on', () => (known?.said.length ?? 0) > heard);
  }
  using after = await served();
  expect([after.members[0]?.gone, known?.gone]).toEqual([false, false]);
  await gate.agent.process.kill();
  await data.agent.process.kill();
});

test('connections beyond control’s files shut out no operator, no agent that comes again, and no page', async () => {
  const signIn = () => viewDashboard(`http://${listeners.dashboard}`, join(control.dataDir, 'admin.token'));
  const back = await joined('back', 'echo');
  await back.agent.process.kill();
  using page = await signIn();
  await until('the page is there', () => page.bytes() > 0);
  // A hundred more than each takes at once, and all of them together more than there are files.
  using calls = new Crowd(control.listen, 260, ['', '\x16\x03\x01\x02\x00\x01']);
  using pages = new Crowd(listeners.dashboard, 116, words(request('/healthz')));
  using scrapes = new Crowd(listeners.metrics, 108, words(request('/metrics')));
  await Promise.all([calls.came, pages.came, scrapes.came]);
  await control.ok('status');
  await back.agent.restart();
  await until('the agent is back', async () => /^back +connected/m.test(await control.ok('agents')));
  const seen = page.bytes();
  await until('the page goes on', () => page.bytes() > seen);
  using another = await signIn();
  await until('a page opens', () => another.bytes() > 0);
  expect((await fetch(`http://${listeners.metrics}/metrics`)).status).toBe(200);
  await back.agent.process.kill();
});
