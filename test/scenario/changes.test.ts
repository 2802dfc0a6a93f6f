import { adminService } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { type Agent, connect } from './agent.ts';
import { Mesh, NETWORK } from './mesh.ts';
import { echo, ending, says, type TcpProgram } from './programs.ts';

/** The mesh that each test starts from and comes back to. */
const SERVICES = {
  web: '{ kind: web, ports: [3000] }',
  redis: '{ kind: private, ports: [6379] }',
  rabbit: '{ kind: private, ports: [5672, 15672] }',
  batch: '{ kind: private, ports: [7000] }',
};

function meshOf(changes: Partial<Record<keyof typeof SERVICES, string | undefined>> = {}, rules = ''): string {
  const services = Object.entries({ ...SERVICES, ...changes }).filter(([, words]) => words !== undefined);
  return `services:\n${services.map(([name, words]) => `  ${name}: ${words}\n`).join('')}${rules}`;
}

let mesh: Mesh;
let program: TcpProgram;
let web: Agent;
let tools: Agent;
let data: Agent;

beforeAll(async () => {
  mesh = await Mesh.start(meshOf());
  program = await echo();
  const { port } = program;
  data = await mesh.agent('data', {
    services: { redis: { 6379: port }, rabbit: { 5672: port, 15672: port } },
  });
  web = await mesh.agent('front', { services: { web: { 3000: port } } });
  tools = await mesh.agent('tools');
});
afterAll(async () => {
  await mesh.close();
  await program.stop();
});

/** Live connections that have carried something. */
async function open(agent: Agent, service: string, port: number, count = 1) {
  const vip = await agent.vip(service);
  const sockets = await Promise.all(Array.from({ length: count }, () => connect(vip, port)));
  await Promise.all(sockets.map((socket) => says(socket, 'hello')));
  return sockets;
}

/** How each connection ends; fails when one is still open a second after the change. */
async function within1s<Value>(endings: readonly Promise<Value>[]): Promise<Set<Value>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('still open after a second')), 1_000);
  });
  try {
    return new Set(await Promise.race([Promise.all(endings), late]));
  } finally {
    clearTimeout(timer);
  }
}

/** Comes back to the first mesh, when every instance is well again. */
async function restore(): Promise<void> {
  await mesh.apply(meshOf());
  await web.vip('redis');
  await tools.vip('rabbit');
}

async function since<Value>(service: string, run: () => Promise<Value>, count: number) {
  const before = (await mesh.records(service)).length;
  await run();
  return (await mesh.recorded(service, before + count)).slice(before);
}

test('a rule that comes under two hundred live flows cuts exactly those it denies', async () => {
  const denied = await open(web, 'rabbit', 15672, 100);
  const kept = [...(await open(web, 'rabbit', 5672, 50)), ...(await open(tools, 'rabbit', 15672, 50))];
  const records = await since(
    'rabbit',
    async () => {
      const endings = denied.map(ending);
      const rule = 'policies:\n  - { name: no-ui, action: deny, from: [web], to: [rabbit], ports: [15672] }\n';
      const revision = await mesh.apply(meshOf({}, rule));
      expect(await within1s(endings)).toEqual(new Set(['reset']));
      await Promise.all(kept.map((socket) => says(socket, 'still here')));
      expect((await data.status()).flows.open).toBe(100);
      expect(await ending(await connect(await web.vip('rabbit'), 15672))).toBe('reset');
      await until(
        'the records',
        () => mesh.records('rabbit'),
        ({ length }) => length >= 101,
      );
      for (const { verdict, rule, revision: made } of await mesh.records('rabbit')) {
        expect({ verdict, rule, made }).toEqual({ verdict: 'deny', rule: 'no-ui', made: revision });
      }
      const over = kept.map(ending);
      for (const socket of kept) socket.end();
      expect(new Set(await Promise.all(over))).toEqual(new Set(['closed']));
    },
    201,
  );
  const outcomes = Object.groupBy(records, ({ outcome }) => outcome);
  expect([outcomes.cut?.length, outcomes.denied?.length, outcomes.closed?.length]).toEqual([100, 1, 100]);
  await restore();
});

test('a service that turns into a worker loses name and flows', async () => {
  const [socket] = await open(web, 'redis', 6379);
  const vip = await web.vip('redis');
  const records = await since(
    'redis',
    async () => {
      const endings = socket === undefined ? [] : [ending(socket)];
      await mesh.apply(meshOf({ redis: '{ kind: worker }' }));
      expect(await within1s(endings)).toEqual(new Set(['reset']));
      expect((await web.status()).names.map(({ name }) => name)).not.toContain('redis.internal');
      await expect(connect(vip, 6379)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    },
    1,
  );
  expect(records).toMatchObject([{ outcome: 'cut', verdict: 'deny', rule: 'builtin:worker', source: 'web' }]);
  await restore();
});

test('a service that is removed', async () => {
  const [socket] = await open(tools, 'redis', 6379);
  const records = await since(
    'redis',
    async () => {
      const endings = socket === undefined ? [] : [ending(socket)];
      await mesh.apply(meshOf({ redis: undefined }));
      expect(await within1s(endings)).toEqual(new Set(['reset']));
    },
    1,
  );
  expect(records).toMatchObject([{ outcome: 'cut', rule: 'builtin:no-such-service', source: 'host:tools' }]);
  await restore();
});

test('a port that is removed, and no other', async () => {
  const [gone] = await open(tools, 'rabbit', 15672);
  const [kept] = await open(tools, 'rabbit', 5672);
  const records = await since(
    'rabbit',
    async () => {
      const endings = gone === undefined ? [] : [ending(gone)];
      await mesh.apply(meshOf({ rabbit: '{ kind: private, ports: [5672] }' }));
      expect(await within1s(endings)).toEqual(new Set(['reset']));
      if (kept !== undefined) await says(kept, 'still here');
      kept?.resetAndDestroy();
    },
    2,
  );
  expect(records).toMatchObject([{ outcome: 'cut', rule: 'builtin:undeclared-port' }, { outcome: 'reset' }]);
  await restore();
});

test('a caller whose own service is taken away may not go on as it', async () => {
  const [socket] = await open(web, 'redis', 6379);
  const [other] = await open(tools, 'redis', 6379);
  const records = await since(
    'redis',
    async () => {
      const endings = socket === undefined ? [] : [ending(socket)];
      await mesh.apply(meshOf({ web: undefined }));
      expect(await within1s(endings)).toEqual(new Set(['reset']));
      if (other !== undefined) await says(other, 'still here');
      // What it runs now is nothing, so it speaks as its host.
      const [again] = await open(web, 'redis', 6379);
      again?.resetAndDestroy();
      other?.resetAndDestroy();
    },
    3,
  );
  expect(records[0]).toMatchObject({ outcome: 'cut', rule: 'builtin:source', source: 'web', verdict: 'deny' });
  expect(new Set(records.slice(1).map(({ source }) => source))).toEqual(new Set(['host:front', 'host:tools']));
  await restore();
});

test('an agent that is revoked loses names, tunnels and flows, and others lose it', async () => {
  const { port } = program;
  const batch = await mesh.agent('batch', { services: { batch: { 7000: port } } });
  const [from] = await open(batch, 'redis', 6379);
  const [to] = await open(tools, 'batch', 7000);
  const vip = await batch.vip('redis');
  const endings = [from, to].flatMap((socket) => (socket === undefined ? [] : [ending(socket)]));
  await mesh.ask(adminService.revokeAgent, { network: NETWORK, agent: 'batch' });
  expect(await within1s(endings)).toEqual(new Set(['reset']));
  const status = await until(
    'revocation',
    () => batch.status(),
    ({ state }) => state === 'revoked',
  );
  expect(status).toMatchObject({ names: [], tunnel: { open: 0 }, flows: { open: 0 } });
  await expect(connect(vip, 6379)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await tools.vip('batch', 0);
  expect(await ending(await connect(await tools.vip('batch', 0), 7000))).toBe('reset');
  // The one it took is told by its caller, since nobody hears a revoked agent.
  expect(await mesh.recorded('batch', 2)).toMatchObject([
    { outcome: 'cut', sourceHost: 'tools', detail: expect.stringMatching(/^batch was revoked and is no member /) },
    { outcome: 'no-instance' },
  ]);
  expect((await mesh.records('redis')).at(-1)).toMatchObject({ outcome: 'cut', sourceHost: 'batch' });
});
