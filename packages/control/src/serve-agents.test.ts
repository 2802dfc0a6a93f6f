/** The whole of control, driven over its port by an operator and an agent that speaks the protocol by hand. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byText, decodeJoinToken } from '@weft/proto';
import {
  AdminClient,
  AgentClient,
  adminService,
  agentService,
  agentViewCodec,
  bearerMetadata,
  callDuplex,
  callUnary,
  helloMessage,
  joinProofMessage,
  type pb,
  pinnedCredentials,
  wireItem,
} from '@weft/proto/wire';
import { pino } from 'pino';
import nacl from 'tweetnacl';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Control, startControl } from './serve.ts';

const closers: (() => void | Promise<void>)[] = [];
let control: Control;
let ask: <Q, S>(method: Parameters<typeof callUnary<Q, S>>[1], request: pb.Outgoing<Q>) => Promise<S>;

beforeEach(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-agents-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  const listen = { host: '127.0.0.1', port: 0 };
  const options = { directory, listen, dashboard: undefined, advertise: [], logLevel: 'silent' };
  control = await startControl(options, { logger: pino({ level: 'silent' }), now: Date.now });
  closers.push(() => control.close());
  const metadata = bearerMetadata(readFileSync(control.adminTokenPath, 'utf8').trim());
  const client = new AdminClient(control.address, await pinnedCredentials(control.address, control.pin));
  closers.push(() => client.close());
  ask = (method, request) => callUnary(client, method, request, { metadata });
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const redis = { name: 'redis', kind: 2, ports: [{ protocol: 1, first: 6379, last: 6379 }] };
const web = { name: 'web', kind: 1, ports: [{ protocol: 1, first: 3000, last: 3000 }] };
const report: pb.Outgoing<pb.Report> = {
  endpoints: ['192.0.2.1:7410'],
  tunnelPort: 7410,
  instances: [{ service: 'redis', healthy: true }],
};

/** Joins and connects. `acknowledge` says whether it enforces what it is sent; `kept`, whether its disk takes that. */
async function agent(host: string, acknowledge: () => boolean, kept = true) {
  const { token } = await ask(adminService.createToken, { services: ['redis'], host });
  const { id, secret, pin } = decodeJoinToken(token);
  const client = new AgentClient(control.address, await pinnedCredentials(control.address, pin));
  closers.push(() => client.close());
  const { publicKey, secretKey } = nacl.sign.keyPair();
  const tunnelKey = nacl.randomBytes(32);
  const proof = nacl.sign.detached(joinProofMessage(id, publicKey, tunnelKey), secretKey);
  const { agentId } = await callUnary(client, agentService.join, {
    tokenId: id,
    tokenSecret: secret,
    identityKey: publicKey,
    tunnelKey,
    proof,
    services: ['redis'],
  });
  const stream = callDuplex(client, agentService.connect);
  const keys = new Set<string>();
  let revoked = '';
  const ended = new Promise<void>((resolve) => stream.once('error', () => resolve()).once('end', resolve));
  stream.on('data', ({ challenge, welcome, delta, revoked: gone }: pb.ControlMessage) => {
    if (challenge) {
      const signature = nacl.sign.detached(helloMessage(challenge.nonce, pin, agentId), secretKey);
      stream.write({ hello: { agentId, signature, version: '9' } });
    } else if (welcome) {
      stream.write({ standing: { report } });
    } else if (delta) {
      for (const item of delta.upserts) keys.add(wireItem(item).key);
      for (const key of delta.removals) keys.delete(key);
      const { timeline, index, revision } = delta;
      if (acknowledge()) stream.write({ ack: { timeline, index, revision, kept } });
    } else if (gone) revoked = gone.reason;
  });
  return { agentId, keys, ended, reason: () => revoked, stream };
}

test('an agent joins, learns, is waited for, named when it lags, and told when it is revoked', async () => {
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  let prompt = true;
  const one = await agent('build-3', () => prompt);
  await expect.poll(() => [...one.keys].sort(byText)).toEqual(['instance/redis/0', 'policy', 'self', 'service/redis']);

  const both = { network: 'prod', services: [redis, web] };
  const { result: applied } = await ask(adminService.apply, { mesh: both, terms: { wait: true } });
  expect(applied?.stragglers).toEqual([]);
  expect(one.keys.has('service/web')).toBe(true);
  expect((await ask(adminService.getStatus, {})).networks).toMatchObject([{ connected: 1, behind: [] }]);
  expect((await ask(adminService.listServices, {})).services[0]).toMatchObject({
    instances: [{ ordinal: 0, host: 'build-3', healthy: true }],
  });

  prompt = false;
  const late = await ask(adminService.apply, {
    mesh: { network: 'prod', services: [redis] },
    terms: { wait: true, timeout: { nanos: 200_000_000 } },
  });
  expect(late.result?.stragglers).toEqual(['build-3']);
  const { agents } = await ask(adminService.listAgents, { view: agentViewCodec.toWire('full') });
  expect(agents).toMatchObject([
    {
      host: 'build-3',
      connected: true,
      enforcedRevision: applied?.revision,
      version: '9',
      report: { tunnelPort: 7410 },
    },
  ]);

  await ask(adminService.revokeAgent, { agent: 'build-3' });
  await one.ended;
  expect(one.reason()).toContain('revoked by an operator');
  expect((await ask(adminService.listAgents, {})).agents).toEqual([]);
});

test('a revocation tells who enforces it and cannot keep it, and who does not answer', async () => {
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  let prompt = true;
  await agent('full', () => true, false);
  await agent('slow', () => prompt);
  await agent('fine', () => true);
  for (const host of ['gone-1', 'gone-2']) await agent(host, () => true);
  await expect
    .poll(async () => (await ask(adminService.listAgents, {})).agents.filter((a) => a.connected))
    .toHaveLength(5);
  const first = await ask(adminService.revokeAgent, { agent: 'gone-1' });
  expect(first).toMatchObject({ stragglers: [], notKept: ['full'] });
  prompt = false;
  const { agents } = await ask(adminService.listAgents, {});
  const { tokenId = '' } = agents.find(({ host }) => host === 'gone-2') ?? {};
  const second = await ask(adminService.revokeToken, { tokenId });
  expect(second).toMatchObject({ hosts: ['gone-2'], stragglers: ['slow'], notKept: ['full'] });
  // Of what was so already no revision is told, and so nobody who lacks one.
  const again = await ask(adminService.revokeToken, { tokenId });
  expect(again).toMatchObject({ already: true, revision: 0, stragglers: [], notKept: [] });
});

test('control closes while agents are connected and an apply waits', async () => {
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  const one = await agent('a', () => false);
  await expect.poll(() => one.keys.size).toBeGreaterThan(0);
  const waiting = ask(adminService.apply, { mesh: { network: 'prod', services: [redis, web] }, terms: { wait: true } });
  await expect.poll(() => one.keys.has('service/web')).toBe(true);
  const closing = control.close();
  expect((await waiting).result?.stragglers).toEqual(['a']);
  await Promise.all([closing, one.ended]);
});

test('a network that is removed takes its name twice, and its agents are told', async () => {
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  const one = await agent('a', () => true);
  await expect.poll(() => one.keys.size).toBeGreaterThan(0);
  for (const [network, confirm] of [
    ['', ''],
    ['prod', ''],
    ['prod', 'stage'],
    ['stage', 'stage'],
  ] as const) {
    await expect(ask(adminService.deleteNetwork, { network, confirm })).rejects.toThrow();
  }
  expect(await ask(adminService.deleteNetwork, { network: 'prod', confirm: 'prod' })).toMatchObject({ hosts: ['a'] });
  await one.ended;
  expect(one.reason()).toContain('network prod was removed by an operator');
  expect((await ask(adminService.getStatus, {})).networks).toEqual([]);
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  expect((await ask(adminService.listAgents, {})).agents).toEqual([]);
});
