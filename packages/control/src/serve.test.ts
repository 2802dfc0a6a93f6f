import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ServiceError, status } from '@grpc/grpc-js';
import { decodeAdminToken, decodeJoinToken } from '@weft/proto';
import {
  AdminClient,
  AgentClient,
  adminService,
  agentService,
  bearerMetadata,
  callUnary,
  joinProofMessage,
  type pb,
  pinnedCredentials,
} from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Control, startControl } from './serve.ts';

const logger = pino({ level: 'silent' });
let directory: string;
const closers: (() => void | Promise<void>)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-serve-'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(directory, { recursive: true });
});

async function start(log = logger): Promise<Control> {
  const any = { host: '127.0.0.1', port: 0 };
  const options = { directory, listen: any, dashboard: any, advertise: [], logLevel: 'silent' };
  const control = await startControl(options, { logger: log, now: Date.now });
  closers.push(() => control.close());
  return control;
}

type Ask = <Q, S>(method: Parameters<typeof callUnary<Q, S>>[1], request: pb.Outgoing<Q>) => Promise<S>;

async function operator(address: string, file = 'admin.token'): Promise<Ask> {
  const token = readFileSync(join(directory, file), 'utf8').trim();
  const client = new AdminClient(address, await pinnedCredentials(address, decodeAdminToken(token).pin));
  closers.push(() => client.close());
  return (method, request) => callUnary(client, method, request, { metadata: bearerMetadata(token) });
}

const mesh = (count: number): pb.Outgoing<pb.Mesh> => ({
  network: 'prod',
  services: Array.from({ length: count }, (_, index) => {
    return { name: `s${index}`, kind: 2, ports: [{ protocol: 1, first: 1_000 + index, last: 1_000 + index }] };
  }),
});

/** A control of its own process, as the binary starts it. */
async function spawnControl(...flags: string[]): Promise<{ child: ChildProcess; address: string }> {
  const entry = join(import.meta.dirname, 'main.ts');
  const script = `import(${JSON.stringify(entry)}).then(({ main }) => main(process.argv))`;
  const arguments_ = ['--data', directory, '--listen', '127.0.0.1:0', '--dashboard', 'off', ...flags];
  const child = spawn(process.execPath, ['-e', script, 'weft-control', 'serve', ...arguments_], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  closers.push(() => void child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /^weft-control ready: listening on (\S+), pin [\w-]{43}, admin token in (\S+)$/.exec(line)?.[1];
    if (address !== undefined) return { child, address };
  }
  throw new Error('control ended without being ready');
}

describe('a control of its own process', () => {
  test('that is killed right after an answer has lost nothing of what it answered', async () => {
    const { child, address } = await spawnControl();
    const ask = await operator(address);
    let answered = 0;
    for (let count = 1; count <= 40; count += 1) {
      answered = (await ask(adminService.apply, { mesh: mesh(count) })).result?.revision ?? 0;
    }
    // One more is on its way when the process dies: it may be there or not, the ones before it must.
    const onItsWay = ask(adminService.apply, { mesh: mesh(41) }).catch(() => undefined);
    child.kill('SIGKILL');
    await Promise.all([once(child, 'exit'), onItsWay]);

    const control = await start();
    const askAgain = await operator(control.address);
    const held = await askAgain(adminService.getMesh, {});
    expect(answered).toBe(40);
    expect(held.revision).toBeGreaterThanOrEqual(answered);
    expect(held.mesh?.services.length).toBe(held.revision);
    // What is told of each change is there exactly when the change is.
    const { revisions } = await askAgain(adminService.listRevisions, {});
    const { entries } = await askAgain(adminService.listAudit, {});
    const all = Array.from({ length: held.revision }, (_, index) => held.revision - index);
    expect(revisions.map(({ revision }) => revision)).toEqual(all);
    expect(entries.map(({ action, revision }) => `${action} ${revision}`)).toEqual(all.map((one) => `apply ${one}`));
  });

  test('ends with 0 on SIGTERM, and a second one in its directory is refused', async () => {
    const { child } = await spawnControl();
    await expect(start()).rejects.toMatchObject({ code: 'in-use' });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    await start();
  });
});

test.each([
  ['control.key'],
  ['control.key', 'control.crt'],
  ['control.key', 'control.crt', 'admin.token', 'read.token'],
  ['control.key', 'control.db'],
  ['control.key', 'control.db', 'control.crt'],
])('a directory without %s %s %s %s is not served under another key', async (...lost) => {
  const control = await start();
  await (await operator(control.address))(adminService.apply, { mesh: mesh(1) });
  await control.close();
  const kept = lost.map((name) => [name, readFileSync(join(directory, name))] as const);
  for (const name of lost) rmSync(join(directory, name));
  await expect(start()).rejects.toMatchObject({
    code: 'missing',
    message: expect.stringMatching(/control\.key .*backup/),
  });
  // Nor is anything made, beside which the next start would ask for what is left to be thrown away.
  expect(lost.filter((name) => readdirSync(directory).includes(name))).toEqual([]);
  for (const [name, bytes] of kept) writeFileSync(join(directory, name), bytes, { mode: 0o600 });
  await start();
});

test('read.token sees and does not act; a directory without one gets one', async () => {
  const first = await start();
  await first.close();
  rmSync(join(directory, 'read.token'));
  const { address } = await start();
  expect(statSync(join(directory, 'read.token')).mode & 0o777).toBe(0o600);
  const see = await operator(address, 'read.token');
  expect((await see(adminService.getStatus, {})).networks).toEqual([]);
  for (const [method, request] of [
    [adminService.apply, { mesh: mesh(1) }],
    [adminService.listAudit, {}],
  ] as const) {
    const refused = await see<unknown, unknown>(method as never, request).catch((error: ServiceError) => error);
    expect(refused).toMatchObject({ code: status.PERMISSION_DENIED, details: expect.stringContaining('admin.token') });
  }
  const act = await operator(address);
  expect((await act(adminService.getStatus, {})).networks).toEqual([]);
  expect((await act(adminService.listAudit, {})).entries).toMatchObject([
    { actor: { kind: 2, name: '127.0.0.1' }, action: 'call-refused', subject: 'Apply' },
  ]);
});

test('control ends while a stranger keeps a connection open and says nothing', async () => {
  const control = await start();
  const stranger = connect(Number(control.address.split(':')[1]), '127.0.0.1');
  await once(stranger, 'connect');
  // A call after it, so that control has taken the stranger's connection too.
  await (await operator(control.address))(adminService.getStatus, {});
  const ended = once(stranger, 'close');
  await control.close();
  await ended;
});

test('a port that is taken is named, and nothing is left behind', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  closers.push(() => void squatter.close());
  const { port } = squatter.address() as { port: number };
  const free = { host: '127.0.0.1', port: 0 };
  const options = {
    directory,
    listen: { host: '127.0.0.1', port },
    dashboard: free,
    advertise: [],
    logLevel: 'silent',
  };
  for (const wrong of [options, { ...options, listen: free, dashboard: options.listen }]) {
    await expect(startControl(wrong, { logger, now: Date.now })).rejects.toMatchObject({
      code: 'taken',
      message: expect.stringContaining(`127.0.0.1:${port}: the port is taken by this program itself`),
    });
  }
  await start();
});

test('what control had half written when it was killed goes at the next start, and nothing of an agent', async () => {
  for (const name of ['admin.token', 'control.crt', 'control.key', 'read.token', 'reports.json', 'netmap.json']) {
    writeFileSync(join(directory, `${name}.0123456789ab.tmp`), 'half');
  }
  await start();
  expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual(['netmap.json.0123456789ab.tmp']);
});

test('secrets that others may read are told at a start, and one that they may write is not used', async () => {
  await (await start()).close();
  const open = ['admin.token', 'control.db', 'control.key', 'read.token'].map((name) => join(directory, name));
  for (const path of [...open, join(directory, 'flows.clock')]) chmodSync(path, 0o644);
  let logged = '';
  const write = (line: string): void => {
    logged += line;
  };
  const log = pino({ level: 'warn' }, { write });
  await (await start(log)).close();
  const lines = logged.split('\n').filter((line) => line.includes('secret-exposed'));
  expect(lines.map((line) => JSON.parse(line).path).sort()).toEqual(open);
  chmodSync(directory, 0o755);
  for (const path of open) {
    chmodSync(path, 0o666);
    await expect(start()).rejects.toMatchObject({ code: 'unusable', message: expect.stringContaining(path) });
    chmodSync(path, 0o600);
  }
});

test('data that was emptied is refused beside its key, as data that is gone is', async () => {
  writeFileSync(join(directory, 'control.key'), 'a key', { mode: 0o600 });
  writeFileSync(join(directory, 'control.db'), '');
  await expect(start()).rejects.toMatchObject({ code: 'missing', message: expect.stringContaining('is empty') });
});

describe('hosts', () => {
  async function host(control: Control, text: string, name: string): Promise<() => Promise<pb.JoinResponse>> {
    const { id, secret, addresses, pin } = decodeJoinToken(text);
    expect(addresses).toEqual([control.address]);
    const client = new AgentClient(control.address, await pinnedCredentials(control.address, pin));
    closers.push(() => client.close());
    const identity = nacl.sign.keyPair();
    const tunnelKey = nacl.randomBytes(32);
    const proof = nacl.sign.detached(joinProofMessage(id, identity.publicKey, tunnelKey), identity.secretKey);
    const request = { tokenId: id, tokenSecret: secret, identityKey: identity.publicKey, tunnelKey, proof, host: name };
    return () => callUnary(client, agentService.join, request);
  }

  test('that race for a single-use token: one wins, and stays in over a restart', async () => {
    const control = await start();
    const ask = await operator(control.address);
    await ask(adminService.apply, { mesh: mesh(1) });
    const { token, tokenId } = await ask(adminService.createToken, { services: ['s0'] });
    const joins = await Promise.all(Array.from({ length: 8 }, (_, index) => host(control, token, `host-${index}`)));
    const outcomes = await Promise.allSettled(joins.map((join) => join()));
    const winner = outcomes.findIndex((outcome) => outcome.status === 'fulfilled');
    const losers = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(losers.length).toBe(7);
    for (const { reason } of losers) expect((reason as ServiceError).code).toBe(status.FAILED_PRECONDITION);

    const { agents } = await ask(adminService.listAgents, {});
    expect(agents).toMatchObject([{ host: `host-${winner}`, tokenId, services: ['s0'], connected: false }]);
    expect((await joins[winner]?.())?.agentId).toBe(agents[0]?.agentId);
    expect((await ask(adminService.listTokens, {})).tokens).toMatchObject([{ uses: 1 }]);

    await control.close();
    const again = await start();
    expect((await (await operator(again.address))(adminService.listAgents, {})).agents).toMatchObject([
      { host: `host-${winner}` },
    ]);
  });

  test('that is revoked is gone with its token', async () => {
    const control = await start();
    const ask = await operator(control.address);
    await ask(adminService.apply, { mesh: mesh(1) });
    const { token, tokenId } = await ask(adminService.createToken, { reusable: true });
    for (const name of ['a', 'b']) await (await host(control, token, name))();
    const { revision } = await ask(adminService.revokeAgent, { agent: 'a' });
    expect(revision).toBe(4);
    expect(await ask(adminService.revokeToken, { tokenId })).toMatchObject({ hosts: ['b'], revision: 5 });
    expect((await ask(adminService.listAgents, {})).agents).toEqual([]);
    const late = await host(control, token, 'c');
    await expect(late()).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
  });
});

describe('the dashboard', () => {
  test('tells nothing to who is not signed in, and with the admin token what this control knows', async () => {
    let logged = '';
    const write = (line: string): void => {
      logged += line;
    };
    const control = await start(pino({}, { write }));
    const ask = await operator(control.address);
    await ask(adminService.apply, { mesh: mesh(2) });
    const at = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(`http://${control.dashboard}${path}`, init);

    expect((await at('/healthz')).status).toBe(200);
    expect((await at('/api/start')).status).toBe(401);
    const headers = { 'content-type': 'application/json', 'x-weft-dashboard': '1' };
    const signIn = (token: string): Promise<Response> =>
      at('/api/session', { method: 'POST', headers, body: JSON.stringify({ token }) });
    expect((await signIn('wrong')).status).toBe(401);
    const signedIn = await signIn(readFileSync(control.adminTokenPath, 'utf8'));
    expect(await signedIn.json()).toMatchObject({ role: 'admin', networks: ['prod'] });
    const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

    const get = async (path: string): Promise<unknown> => (await at(path, { headers: { cookie } })).json();
    const call = async (name: string, request: object, by = cookie): Promise<[number, Record<string, unknown>]> => {
      const init = { method: 'POST', headers: { ...headers, cookie: by }, body: JSON.stringify(request) };
      const response = await at(`/weft.v1.AdminService/${name}`, init);
      return [response.status, (await response.json()) as Record<string, unknown>];
    };
    expect(await call('GetMesh', { asFile: true })).toEqual([
      200,
      { revision: '1', file: expect.stringMatching(/^network: prod\nservices:\n {2}s0:/) },
    ]);
    expect(await call('ListReach', { service: 's0' })).toMatchObject([200, { reach: expect.any(Array) }]);
    expect(await call('ListFlows', {})).toEqual([200, {}]);
    expect(await call('CountFlows', {})).toMatchObject([200, { bucketLength: expect.any(String) }]);
    const [, made] = await call('CreateToken', { services: ['s0'], ttl: '60s' });
    expect(made).toMatchObject({ token: expect.any(String), tokenId: expect.stringMatching(/^tk_/) });
    expect(await call('RevokeToken', { tokenId: made.tokenId })).toMatchObject([200, { revision: '2' }]);
    expect(logged).toContain('"token-created"');
    expect(logged).not.toContain(made.token);
    expect(JSON.stringify(await get('/api/start'))).toContain(control.adminTokenPath);
    const reader = await signIn(readFileSync(join(directory, 'read.token'), 'utf8'));
    expect(await reader.json()).toMatchObject({ role: 'read' });
    const reading = (reader.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    expect(await call('ListTokens', {}, reading)).toMatchObject([403, { code: 'permission_denied' }]);
    const [, { entries }] = await call('ListAudit', {});
    const of = (kind: string, action: string) => ({ actor: { kind: `ACTOR_KIND_${kind}`, name: '127.0.0.1' }, action });
    expect(entries).toMatchObject([
      { ...of('READ', 'call-refused'), subject: 'ListTokens' },
      of('READ', 'sign-in'),
      of('ADMIN', 'token-revoke'),
      of('ADMIN', 'token-create'),
      of('ADMIN', 'sign-in'),
      of('NOBODY', 'sign-in-refused'),
      { action: 'apply' },
    ]);
  });
});
