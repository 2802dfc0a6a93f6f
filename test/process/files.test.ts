/** Programs with few files to open: what is new is refused and told, what runs goes on, and it mends by itself. */
import dns from 'node:dns/promises';
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, type Lab } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const cleanup = new AsyncDisposableStack();
let lab: Lab;
let control: Control;
let port: number;
let target: number;
const server = net.createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
const mesh = (more = ''): string => `
network: prod
services:
  echo: { kind: private, ports: [${port}] }
  web:  { kind: web, ports: [3000] }
${more}`;

beforeAll(async () => {
  lab = cleanup.use(createLocalLab());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  target = (server.address() as net.AddressInfo).port;
  port = await freePort();
  const ports = { control: await freePort(), dashboard: await freePort() };
  control = await Control.start(await lab.host('main'), ports, [], 256);
  await control.apply(mesh());
});
afterAll(async () => {
  await cleanup.disposeAsync();
  server.close();
});

interface Joined {
  readonly agent: Agent;
  readonly dns: number;
}
let joins = 0;

async function join(name: string, service: string, fileLimit?: number): Promise<Joined> {
  const host = await lab.host(name);
  const token = await control.ok('token', 'create', '--network', 'prod', '--host', name, '--services', service);
  const shared = {
    tunnel: await freePort(),
    dns: await freePort(),
    range: `127.${100 + joins++ + 10 * (process.pid % 10)}.0.0/16`,
  };
  const targets = service === 'echo' ? `{ targets: { ${port}: "127.0.0.1:${target}" } }` : '{}';
  const config = `services: { ${service}: ${targets} }`;
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

interface Told {
  readonly problems: readonly { readonly code: string; readonly subject: string; readonly message: string }[];
}

async function status({ agent }: Joined): Promise<Told> {
  return JSON.parse(await agent.host.check(['weft', 'status', '--json', '--data', agent.dataDir])).agent;
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
  const data = await join('data', 'echo');
  const small = await join('small', 'web', 1_024);
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
  expect((await status(small)).problems).toMatchObject([
    { code: 'too-many-files', subject: 'listeners', message: expect.stringMatching(/many \(first \d+ of 1000\)/) },
  ]);
  await control.apply(mesh(), '--wait');
  await shortOf(small, 'listeners', false);
  await small.agent.process.kill();
  await data.agent.process.kill();
}, 120_000);

test('more idle connections of one peer than a host has files are refused there, told, and taken again after', async () => {
  const data = await join('few', 'echo', 1_024);
  const front = await join('front', 'web');
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
  const services: { service: { name: string }; instances: { healthy: boolean }[] }[] = JSON.parse(
    await control.ok('services', '--json'),
  );
  const echo = services.find(({ service }) => service.name === 'echo');
  expect(echo?.instances.map(({ healthy }) => healthy)).toEqual([true, true]);
  for (const socket of held) socket.destroy();
  await echoes(front);
  await shortOf(data, 'agent', false);
  await data.agent.process.kill();
  await front.agent.process.kill();
}, 120_000);

test('an agent of 128 files ends no call without a record', async () => {
  const data = await join('many', 'echo');
  const source = await join('source', 'web', 128);
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
}, 120_000);

test('connections beyond control’s files do not shut out the operator', async () => {
  const [host = '', at = ''] = control.listen.split(':');
  const idle = Array.from({ length: 356 }, () => net.connect({ host, port: Number(at) }).on('error', () => {}));
  // Control accepts in the order of their coming: it is through with these before it hears a command.
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.on('connect', resolve).on('close', resolve))));
  await control.ok('agents');
  await control.ok('status');
  for (const socket of idle) socket.destroy();
}, 60_000);
