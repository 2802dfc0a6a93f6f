/** What was acknowledged as taken away stays away: whoever is killed, and whatever the disk does. */

import dns from 'node:dns/promises';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import {
  AdminClient,
  adminService,
  bearerMetadata,
  callUnary,
  durationToWire,
  pinnedCredentials,
} from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, type Lab } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

async function serveEcho(): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

/** Free ports, each another: one that is free again may be given twice. */
async function freePorts(): Promise<() => number> {
  const ports = new Set<number>();
  while (ports.size < 7) ports.add(await freePort());
  const each = ports.values();
  return () => each.next().value ?? 0;
}

/** A control, an agent that runs echo, and one that calls it. */
async function shop(lab: Lab, cleanup: AsyncDisposableStack) {
  const echo = cleanup.adopt(await serveEcho(), (server) => void server.close());
  const next = await freePorts();
  const port = next();
  const mesh = (rules: string) =>
    `{ network: prod, services: { echo: { kind: private, ports: [${port}] }, web: { kind: private, ports: [3000] } }, ${rules} }`;
  const control = await Control.start(await lab.host('main'), { control: next(), dashboard: next() });
  await control.apply(mesh('policies: []'));
  const target = (echo.address() as net.AddressInfo).port;
  const names = next();
  const join = async (name: string, services: string, config: string, dnsPort: number, second: number) => {
    const token = await control.ok('token', 'create', '--network', 'prod', '--host', name, '--services', services);
    const range = `127.${second + 4 * (process.pid % 20)}.0.0/16`;
    const shared = { tunnel: next(), dns: dnsPort, range };
    return Agent.start(await lab.host(name), { token, config, shared });
  };
  const data = await join(
    'data',
    'echo',
    `services: { echo: { targets: { ${port}: "127.0.0.1:${target}" } } }`,
    next(),
    130,
  );
  const front = await join('front', 'web', 'services: { web: {} }', names, 132);
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([`127.0.0.1:${names}`]);
  const call = async (): Promise<string> => {
    const [host] = await resolver.resolve4('echo.internal');
    return await new Promise((resolve, reject) => {
      const socket = net.connect({ host: host ?? '', port });
      socket.setTimeout(6_000, () => socket.destroy(new Error('no answer')));
      socket.on('data', (heard) => {
        resolve(heard.toString());
        socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
      socket.write('hello');
    });
  };
  await until(
    'the call works',
    () => call().catch(String),
    (heard) => heard === 'hello',
    SETTLED_MS,
  );
  return { control, data, front, mesh, call };
}

/** Agents that control held off ask again after the time it told them, and up to 10 s more. */
const HELD_OFF_MS = 40_000;

const DENY = 'policies: [{ name: shut, action: deny, from: [web], to: [echo] }]';

test('a deny that every agent acknowledged holds after a kill of all of them, with control down', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { control, data, front, call } = await shop(cleanup.use(createLocalLab()), cleanup);
  const token = readFileSync(join(control.dataDir, 'admin.token'), 'utf8').trim();
  const { pin } = decodeAdminToken(token);
  const client = new AdminClient(
    control.listen,
    await pinnedCredentials(control.listen, pin, AbortSignal.timeout(5_000)),
  );
  const metadata = bearerMetadata(token);
  const held = await callUnary(client, adminService.getMesh, { network: 'prod' }, { metadata, deadlineMs: 5_000 });
  const policies = [{ name: 'shut', action: 2, from: ['web'], to: ['echo'] }];
  const answer = await callUnary(
    client,
    adminService.apply,
    { mesh: { ...held.mesh, policies }, terms: { wait: true, timeout: durationToWire(5_000) } },
    { metadata, deadlineMs: 10_000 },
  );
  // No command's end between the answer and the kill.
  await Promise.all([data.process.kill(), front.process.kill(), control.process.kill()]);
  client.close();
  expect(answer.result).toMatchObject({ stragglers: [], notKept: [] });
  await Promise.all([data.restart(), front.restart()]);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
}, 60_000);

test('an agent that cannot write says so to whoever waits, and keeps it as soon as it can', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { control, data, front, mesh, call } = await shop(cleanup.use(createLocalLab()), cleanup);
  // A directory in the file's place refuses the write whoever asks, root too.
  const blocked = join(front.dataDir, 'netmap.json');
  rmSync(blocked);
  mkdirSync(join(blocked, 'in-the-way'), { recursive: true });
  const applied = await control.weft('apply', '-f', control.meshFile(mesh(DENY)), '--wait');
  expect(applied.code).toBe(1);
  expect(applied.stderr).toMatch(/enforced, but not kept by: front\./);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  const listed = await until(
    'the problem',
    () => control.ok('agents', '--json'),
    (text) => text.includes('netmap-not-kept'),
  );
  const kept = (text: string) =>
    (JSON.parse(text) as { host: string; kept: boolean }[]).map((agent) => [agent.host, agent.kept]);
  expect(kept(listed)).toEqual([
    ['data', true],
    ['front', false],
  ]);
  rmSync(blocked, { recursive: true });
  await until(
    'it is kept',
    () => control.ok('agents', '--json'),
    (text) => !text.includes('netmap-not-kept') && kept(text).every(([, is]) => is),
    SETTLED_MS,
  );
  await Promise.all([data.process.kill(), front.process.kill(), control.process.kill()]);
  await Promise.all([data.restart(), front.restart()]);
  await expect(call()).rejects.toThrow(/ECONNRESET/);
}, 60_000);

test('a control that was restored from an older copy takes no deny back before an operator has seen it', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { control, front, mesh, call } = await shop(cleanup.use(createLocalLab()), cleanup);
  await control.process.kill();
  const copy = `${control.dataDir}-copy`;
  cpSync(control.dataDir, copy, { recursive: true });
  await control.restart();
  await until(
    'both are back',
    () => control.ok('agents', '--json'),
    (text) => (JSON.parse(text) as { connected: boolean }[]).every(({ connected }) => connected),
    SETTLED_MS,
  );
  await control.apply(mesh(DENY), '--wait');
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  await control.process.kill();
  rmSync(control.dataDir, { recursive: true });
  cpSync(copy, control.dataDir, { recursive: true });
  await control.restart();
  await until(
    'control knows',
    () => control.ok('status', '--json', '--data', front.dataDir),
    (text) => {
      const { agent, control: there } = JSON.parse(text);
      const held = agent.problems.some(({ code }: { readonly code: string }) => code === 'held-off');
      return held && there.older_data?.hosts.length === 2;
    },
    HELD_OFF_MS,
  );
  await expect(call()).rejects.toThrow(/ECONNRESET/);
  const refused = await control.weft('apply', '-f', control.meshFile(mesh('policies: []')));
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--accept-older-data')]);
  await control.process.stop();
  await control.restart('--accept-older-data');
  await until(
    'the older rules hold',
    () => call().catch(String),
    (heard) => heard === 'hello',
    HELD_OFF_MS,
  );
  expect(await control.ok('status', '--data', front.dataDir)).toContain('it was started with --accept-older-data');
}, 120_000);
