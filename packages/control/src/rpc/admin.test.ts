import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type ChannelCredentials,
  type Client,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { decodeJoinToken, type FlowRecord } from '@weft/proto';
import {
  AdminClient,
  type AgentHandlers,
  adminService,
  bearerMetadata,
  callServerStream,
  callUnary,
  fieldErrorsFromError,
  type pb,
  pinnedCredentials,
} from '@weft/proto/wire';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReach } from '../admin/reach.ts';
import { openAuditLog } from '../audit/log.ts';
import { RefusalAudit } from '../audit/refusals.ts';
import { FailureCounter } from '../bounds/failures.ts';
import { openKeys } from '../enroll/certificate.ts';
import { createFlowWindow } from '../flows/memory-window.fixture.ts';
import type { FlowWindow } from '../flows/types.ts';
import { openState } from '../state/state.ts';
import type { StateStore } from '../state/types.ts';
import { Store } from '../store/store.ts';
import { createTraffic } from '../traffic/traffic.ts';
import { adminAuth, CallActors } from './admin-auth.ts';
import { adminHandlers } from './admin-service.ts';
import { ProvedCalls } from './call-stream.ts';
import { Connections } from './connections.ts';
import { ControlServer } from './server.ts';
import { ERROR_CODE_KEY } from './status.ts';

const TOKEN = 'weftadmin1.pin.secret';
const directory = mkdtempSync(join(tmpdir(), 'weft-admin-'));
const logger = pino({ level: 'silent' });
const keys = await openKeys({ directory, names: ['127.0.0.1'] });
const noAgents: AgentHandlers = {
  join: (_call, callback) => callback({ code: status.UNIMPLEMENTED }),
  connect: (call) => void call.end(),
};

let state: StateStore;
let flows: FlowWindow;
let server: ControlServer;
let client: AdminClient;
let address: string;
let credentials: ChannelCredentials;
let waited: unknown[];

beforeAll(async () => {
  const store = Store.inMemory();
  state = await openState({ store, now: Date.now });
  const audit = openAuditLog({ store, now: Date.now });
  const actors = new CallActors();
  flows = createFlowWindow();
  const admin = adminHandlers({
    state,
    live: { agent: () => undefined, instance: () => undefined },
    enforcement: {
      waitEnforced: async (...asked) => {
        waited = asked.slice(0, 3);
        return ['slow'];
      },
    },
    explain: async (network, { from, service }) => ({
      verdict: 'deny',
      rule: 'default',
      revision: network.revision,
      reason: `${from} to ${service}`,
      breakPoint: 'denied',
      steps: ['one'],
    }),
    flows,
    traffic: createTraffic({ now: Date.now }),
    reach: createReach(),
    audit,
    actors,
    pin: keys.pin,
    advertise: [],
    listening: () => ({ host: '127.0.0.1', port: 7400 }),
    version: '1.2.3',
    startedMs: 5,
    now: Date.now,
    logger,
  });
  const failures = new FailureCounter({ failures: 3, windowMs: 60_000, remembered: 8 }, Date.now);
  const refusals = new RefusalAudit({ audit, now: Date.now, logger });
  const known = { roleOf: (token: string) => (token === TOKEN ? ('admin' as const) : undefined) };
  const interceptors = [
    adminAuth({ credentials: known, actors, proved: new ProvedCalls(), failures, refusals, logger }),
  ];
  server = new ControlServer({
    ...keys,
    admin,
    agents: noAgents,
    interceptors,
    connections: new Connections(),
    logger,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  address = `127.0.0.1:${port}`;
  credentials = await pinnedCredentials(address, keys.pin);
  client = new AdminClient(address, credentials);
});

beforeEach(() => {
  waited = [];
});

afterAll(async () => {
  client.close();
  await server.close(100);
  rmSync(directory, { recursive: true });
});

const metadata = bearerMetadata(TOKEN);
const redis: pb.Outgoing<pb.Service> = { name: 'redis', kind: 2, ports: [{ protocol: 1, first: 6379, last: 6379 }] };

const ask: <Q, S>(method: Parameters<typeof callUnary<Q, S>>[1], request: pb.Outgoing<Q>) => Promise<S> = (
  method,
  request,
) => callUnary(client, method, request, { metadata });

async function refusal(promise: Promise<unknown>): Promise<ServiceError> {
  return promise.then(
    () => expect.unreachable('the call was served'),
    (error: ServiceError) => error,
  );
}

describe('apply', () => {
  test('makes, tells, waits and names stragglers', async () => {
    const mesh = { network: 'prod', services: [redis] };
    const dry = await ask(adminService.apply, { mesh, dryRun: true, wait: true });
    expect(dry).toMatchObject({ revision: 0, stragglers: [] });
    expect(dry.changes.map(({ subject }) => subject)).toEqual(['network prod', 'service redis']);
    const applied = await ask(adminService.apply, { mesh, wait: true, timeoutMs: 50 });
    expect(applied).toMatchObject({ revision: 1, stragglers: ['slow'] });
    expect(waited).toEqual(['prod', 1, 50]);
    expect(await ask(adminService.apply, { mesh })).toMatchObject({ revision: 1, changes: [], stragglers: [] });
    const { mesh: held, revision } = await ask(adminService.getMesh, {});
    expect(revision).toBe(1);
    expect(held?.services.map(({ name }) => name)).toEqual(['redis']);
  });

  test('names every field that is wrong', async () => {
    const services = [
      { ...redis, name: 'Bad' },
      { ...redis, ports: [] },
    ];
    const error = await refusal(ask(adminService.apply, { mesh: { network: 'prod', services } }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.metadata.get(ERROR_CODE_KEY)).toEqual(['invalid']);
    expect(fieldErrorsFromError(error).length).toBeGreaterThan(1);
    const unset = await refusal(ask(adminService.apply, {}));
    expect([unset.code, fieldErrorsFromError(unset)]).toEqual([
      status.INVALID_ARGUMENT,
      [{ field: 'mesh', message: 'not set' }],
    ]);
    const late = await refusal(ask(adminService.apply, { mesh: { network: 'prod' }, timeoutMs: 600_001 }));
    expect(fieldErrorsFromError(late)[0]?.field).toBe('timeout_ms');
  });
});

test('listings, explain and status speak of the one network there is', async () => {
  const { services } = await ask(adminService.listServices, {});
  expect(services).toMatchObject([{ service: { name: 'redis' }, vip: '127.80.0.1', instances: [] }]);
  expect(await ask(adminService.listAgents, { network: 'prod' })).toEqual({ agents: [] });
  expect(await ask(adminService.getStatus, {})).toMatchObject({
    version: '1.2.3',
    startedMs: 5,
    networks: [{ network: 'prod', revision: 1, services: 1, agents: 0, connected: 0, behind: [] }],
  });
  const request = { from: 'web', service: 'redis', port: 6379, protocol: 1 };
  expect(await ask(adminService.explain, request)).toMatchObject({ verdict: 2, reason: 'web to redis', breakPoint: 4 });
  expect((await refusal(ask(adminService.explain, { ...request, protocol: 0 }))).code).toBe(status.INVALID_ARGUMENT);
  expect((await refusal(ask(adminService.getMesh, { network: 'nope' }))).code).toBe(status.NOT_FOUND);
  expect((await refusal(ask(adminService.revokeAgent, { agent: 'nobody' }))).code).toBe(status.NOT_FOUND);
});

test('tokens are made, listed without secrets, and revoked', async () => {
  const made = await ask(adminService.createToken, { services: ['redis', 'redis'], host: 'build-3', ttlSeconds: 60 });
  const token = decodeJoinToken(made.token);
  expect(token).toMatchObject({ addresses: ['127.0.0.1:7400'], id: made.tokenId });
  expect(Buffer.from(token.pin).equals(keys.pin)).toBe(true);
  const { tokens } = await ask(adminService.listTokens, {});
  expect(tokens).toMatchObject([
    {
      tokenId: made.tokenId,
      services: ['redis'],
      host: 'build-3',
      uses: 0,
      revoked: false,
      createdMs: made.expiresMs - 60_000,
    },
  ]);
  expect(JSON.stringify(tokens)).not.toContain(token.secret);
  expect(await ask(adminService.revokeToken, { tokenId: made.tokenId })).toMatchObject({ hosts: [] });
  expect((await ask(adminService.listTokens, {})).tokens[0]?.revoked).toBe(true);
  const error = await refusal(
    ask(adminService.createToken, { services: ['no good'], host: 'No', addresses: ['x'], ttlSeconds: 1e9 }),
  );
  expect(fieldErrorsFromError(error).map(({ field }) => field)).toEqual([
    'services[0]',
    'host',
    'ttl_seconds',
    'addresses[0]',
  ]);
});

test('reach, revisions, a mesh from before, and who did it', async () => {
  const { reach, revision } = await ask(adminService.listReach, { service: 'redis' });
  // The token that was revoked above made the second.
  expect(revision).toBe(2);
  expect(reach).toEqual([
    {
      source: 'redis',
      ports: redis.ports,
      verdict: 1,
      rule: 'default',
      reason: 'no policy is about redis to redis:6379/tcp, and the default is allow',
    },
    expect.objectContaining({ source: 'internet', verdict: 2, rule: 'builtin:ingress' }),
  ]);
  expect((await refusal(ask(adminService.listReach, { service: 'nope' }))).code).toBe(status.NOT_FOUND);

  const web = { name: 'web', kind: 2, ports: [{ protocol: 1, first: 80, last: 80 }] };
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis, web] } });
  await ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  const { revisions } = await ask(adminService.listRevisions, {});
  expect(revisions.map((one) => [one.revision, one.changes.map(({ subject }) => subject)])).toEqual([
    [4, ['service web']],
    [3, ['service web']],
    [1, ['network prod', 'service redis']],
  ]);
  expect((await ask(adminService.listRevisions, { limit: 1 })).revisions.map((one) => one.revision)).toEqual([4]);
  expect((await refusal(ask(adminService.listRevisions, { limit: 201 }))).code).toBe(status.INVALID_ARGUMENT);
  const names = async (asked: number): Promise<string[] | undefined> =>
    (await ask(adminService.getMesh, { revision: asked })).mesh?.services.map(({ name }) => name);
  expect([await names(1), await names(3), await names(0)]).toEqual([['redis'], ['redis', 'web'], ['redis']]);
  expect((await refusal(ask(adminService.getMesh, { revision: 5 }))).code).toBe(status.NOT_FOUND);

  const { entries } = await ask(adminService.listAudit, { network: 'prod', limit: 2 });
  expect(entries).toMatchObject([
    { actor: 'admin 127.0.0.1', action: 'apply', subject: 'network prod', revision: 4, detail: '1 change' },
    { actor: 'admin 127.0.0.1', action: 'apply', subject: 'network prod', revision: 3, detail: '1 change' },
  ]);
  const older = await ask(adminService.listAudit, { before: entries[1]?.sequence ?? 0 });
  expect(older.entries.every(({ sequence }) => sequence < (entries[1]?.sequence ?? 0))).toBe(true);
  expect(older.entries.map(({ revision: made }) => made)).toContain(1);
  expect((await refusal(ask(adminService.listAudit, { limit: 1_001 }))).code).toBe(status.INVALID_ARGUMENT);
});

test('flows come from the window, then as they end, and stop with the call', async () => {
  const flow = (id: string): FlowRecord => ({
    id: id.padStart(16, '0'),
    startedMs: 1,
    durationMs: 1,
    source: 'web',
    sourceHost: 'a',
    service: 'redis',
    instance: 'redis/0',
    destinationHost: 'b',
    port: 6379,
    protocol: 'tcp',
    verdict: 'allow',
    rule: 'default',
    revision: 1,
    outcome: 'closed',
    bytesSent: 1,
    bytesReceived: 1,
    zone: '',
    detail: '',
  });
  flows.add('prod', 'b', [flow('1'), flow('2')], 0);
  const stream = callServerStream(client, adminService.watchFlows, { follow: true, limit: 1 }, { metadata });
  const seen: string[] = [];
  const ended = new Promise<void>((resolve) => stream.once('error', () => resolve()));
  await new Promise<void>((resolve) => {
    stream.on('data', ({ record }: pb.WatchFlowsResponse) => {
      seen.push(record?.id ?? '');
      if (seen.length === 1) flows.add('prod', 'b', [flow('3')], 0);
      else resolve();
    });
  });
  expect(seen).toEqual([flow('2').id, flow('3').id]);
  stream.cancel();
  await ended;
});

test('a watch that is refused ends with its status, and does not leave the watcher waiting', async () => {
  const stream = callServerStream(client, adminService.watchFlows, { network: 'nowhere' }, { metadata });
  const error = await new Promise<ServiceError>((resolve) =>
    stream.once('error', (cause) => resolve(cause as ServiceError)).resume(),
  );
  expect(error.code).toBe(status.NOT_FOUND);
});

describe('without the bearer', () => {
  const call = (value: string | undefined): Promise<ServiceError> => {
    const sent = new Metadata();
    if (value !== undefined) sent.set('authorization', value);
    return refusal(callUnary(client, adminService.getStatus, {}, { metadata: sent }));
  };

  test('nothing is served; too many failures are told so, and the right token still passes', async () => {
    const answers = [await call(undefined), await call('Bearer wrong'), await call(TOKEN), await call('Bearer wrong')];
    expect(answers.map(({ code }) => code)).toEqual([
      status.UNAUTHENTICATED,
      status.UNAUTHENTICATED,
      status.UNAUTHENTICATED,
      status.RESOURCE_EXHAUSTED,
    ]);
    expect(answers[0]?.details).toContain('Bearer TOKEN');
    expect(await ask(adminService.getStatus, {})).toMatchObject({ version: '1.2.3' });
    const stream = callServerStream(client, adminService.watchFlows, {});
    const error = await new Promise<ServiceError>((resolve) =>
      stream.once('error', (cause) => resolve(cause as ServiceError)).resume(),
    );
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

/** What a client like grpcurl does: it knows the reflection protocol, and learns everything else from the server. */
test('a client that knows nothing drives the admin API by reflection', async () => {
  interface Dynamic {
    new (address: string, credentials: ChannelCredentials): Client & Record<string, CallableFunction>;
  }
  const home = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const schema = loadSync('grpc/reflection/v1/reflection.proto', { includeDirs: [join(home, 'build', 'proto')] });
  const service = (root: unknown, path: string): Dynamic =>
    path.split('.').reduce((at, name) => (at as Record<string, unknown>)[name], root) as Dynamic;
  const reflection = new (service(loadPackageDefinition(schema), 'grpc.reflection.v1.ServerReflection'))(
    address,
    credentials,
  );
  const stream = reflection.ServerReflectionInfo?.();
  const reply = new Promise<{ fileDescriptorResponse: { fileDescriptorProto: Buffer[] } }>((resolve, reject) => {
    stream.on('data', resolve).on('error', reject);
  });
  stream.write({ fileContainingSymbol: 'weft.v1.AdminService' });
  const files = (await reply).fileDescriptorResponse.fileDescriptorProto;
  stream.end();
  reflection.close();

  // FileDescriptorSet: repeated FileDescriptorProto file = 1.
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  const set = Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), file]));
  const learned = loadPackageDefinition(loadFileDescriptorSetFromBuffer(set));
  const admin = new (service(learned, 'weft.v1.AdminService'))(address, credentials);
  const mesh = await new Promise<{ mesh: { network: string } }>((resolve, reject) => {
    admin.GetMesh?.({}, metadata, (error: Error | null, answer: { mesh: { network: string } }) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
  admin.close();
  expect(mesh.mesh.network).toBe('prod');
});

test('health is served without a token', async () => {
  const method = {
    path: '/grpc.health.v1.Health/Check',
    requestSerialize: () => Buffer.alloc(0),
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
    client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, {}, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(error);
    });
  });
  // HealthCheckResponse.status = SERVING (1).
  expect([...(answer ?? [])]).toEqual([0x08, 0x01]);
});

// The last, since all before it speak of the one network there is.
describe('with several networks', () => {
  test('a token makes its network when it is new, and nothing when the order is wrong', async () => {
    expect(await ask(adminService.createToken, { network: 'prod' })).toMatchObject({ networkCreated: false });
    await refusal(ask(adminService.createToken, { network: 'stage', host: 'No' }));
    const misnamed = await refusal(ask(adminService.createToken, { network: 'No' }));
    expect(fieldErrorsFromError(misnamed)[0]?.field).toBe('network');
    expect([...state.current.networks.keys()]).toEqual(['prod']);
    expect(await ask(adminService.createToken, { network: 'stage' })).toMatchObject({ networkCreated: true });
    expect(await ask(adminService.createToken, { network: 'stage' })).toMatchObject({ networkCreated: false });
    const { mesh, revision } = await ask(adminService.getMesh, { network: 'stage' });
    expect([mesh?.services, revision]).toEqual([[], 5]);
  });

  test('a request must name one, and is told the flag; one that nobody uses does not count', async () => {
    const { services } = await ask(adminService.listServices, {});
    expect(services).toEqual((await ask(adminService.listServices, { network: 'prod' })).services);
    await ask(adminService.apply, { mesh: { network: 'stage', services: [redis] } });
    for (const method of [adminService.listServices, adminService.createToken, adminService.listTokens]) {
      const error = await refusal(ask<unknown, unknown>(method as never, {}));
      expect(fieldErrorsFromError(error)).toEqual([
        { field: 'network', message: 'several networks here (prod, stage): name one (--network)' },
      ]);
    }
  });

  test('a revocation names the token that still admits and who else has it, and takes both when asked', async () => {
    const { tokenId } = await ask(adminService.createToken, { network: 'stage', reusable: true });
    const joinAs = async (host: string, byte: number): Promise<void> => {
      const token = state.token(tokenId);
      if (token === undefined) throw new Error('the token is not there');
      const key = (salt: number): Uint8Array => new Uint8Array(32).fill(byte + salt);
      await state.join({ token, host, identityKey: key(0), tunnelKey: key(100), version: '1' });
    };
    for (const [byte, host] of ['a', 'c', 'b', 'd'].entries()) await joinAs(host, byte + 1);
    expect(await ask(adminService.revokeAgent, { network: 'stage', agent: 'a' })).toMatchObject({
      hosts: ['a'],
      admittingToken: tokenId,
      joinedAlike: ['b', 'c', 'd'],
    });
    expect(await ask(adminService.revokeAgent, { network: 'stage', agent: 'b', withToken: true })).toMatchObject({
      hosts: ['b', 'c', 'd'],
      joinedAlike: [],
    });
    expect([state.token(tokenId)?.revoked, state.current.networks.get('stage')?.agents.size]).toEqual([true, 0]);
  });

  test('an agent is revoked by its identifier alone, by its host only with the network', async () => {
    const { tokenId } = await ask(adminService.createToken, { network: 'stage' });
    const token = state.token(tokenId);
    if (token === undefined) throw new Error('the token is not there');
    const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
    const { agent } = await state.join({ token, host: 'a', identityKey: key(1), tunnelKey: key(2), version: '1' });
    expect((await refusal(ask(adminService.revokeAgent, { agent: 'a' }))).code).toBe(status.INVALID_ARGUMENT);
    const elsewhere = await refusal(ask(adminService.revokeAgent, { network: 'prod', agent: agent.id }));
    expect(elsewhere.code).toBe(status.NOT_FOUND);
    expect(await ask(adminService.revokeAgent, { agent: agent.id })).toMatchObject({ agentId: agent.id });
    expect((await refusal(ask(adminService.revokeAgent, { agent: agent.id }))).code).toBe(status.NOT_FOUND);
  });
});
