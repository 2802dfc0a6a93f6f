/** Each test goes on from what the one before has left. */

import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { decodeJoinToken, type FlowRecord } from '@weft/proto';
import {
  adminService,
  callServerStream,
  callUnary,
  durationToWire,
  errorDetails,
  type pb,
  timestampFromWire,
  timestampToWire,
} from '@weft/proto/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminBench, metadata, readMetadata, redis, refusal, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
});
afterAll(() => bench.close());

describe('apply', () => {
  test('makes, tells, waits and names stragglers', async () => {
    const mesh = { network: 'prod', services: [redis] };
    const { result: dry } = await bench.ask(adminService.apply, { mesh, terms: { dryRun: true, wait: true } });
    expect(dry).toMatchObject({ revision: 0, stragglers: [] });
    expect(dry?.changes.map(({ subject }) => subject)).toEqual(['network prod', 'service redis']);
    const terms = { wait: true, timeout: durationToWire(50) };
    const { result: applied } = await bench.ask(adminService.apply, { mesh, terms });
    expect(applied).toMatchObject({ revision: 1, stragglers: ['slow'] });
    expect(bench.waited).toEqual(['prod', 1, 50]);
    expect((await bench.ask(adminService.apply, { mesh })).result).toMatchObject({
      revision: 1,
      changes: [],
      stragglers: [],
    });
    const { mesh: held, revision } = await bench.ask(adminService.getMesh, {});
    expect(revision).toBe(1);
    expect(held?.services.map(({ name }) => name)).toEqual(['redis']);
  });

  test('names every field that is wrong', async () => {
    const services = [
      { ...redis, name: 'Bad' },
      { ...redis, ports: [] },
    ];
    const error = await refusal(bench.ask(adminService.apply, { mesh: { network: 'prod', services } }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).reason).toBe('INVALID');
    expect(errorDetails(error).fields.length).toBeGreaterThan(1);
    // Of what is out of form, and in whichever part of the request.
    const odd = { network: 'prod', services: [{ ...redis, kind: 0 }], policies: [{ name: 'a', action: 9 }] };
    const out = await refusal(
      bench.ask(adminService.apply, { mesh: odd, file: 'etc/x', terms: { timeout: durationToWire(-1) } }),
    );
    expect(errorDetails(out).fields.map(({ field }) => field)).toEqual([
      'services.redis.kind',
      'policies[0].action',
      'terms.timeout',
      'file',
    ]);
    const unset = await refusal(bench.ask(adminService.apply, {}));
    expect([unset.code, errorDetails(unset).fields]).toEqual([
      status.INVALID_ARGUMENT,
      [{ field: 'mesh', message: 'not set' }],
    ]);
    const late = await refusal(
      bench.ask(adminService.apply, { mesh: { network: 'prod' }, terms: { timeout: durationToWire(600_001) } }),
    );
    expect(errorDetails(late).fields[0]?.field).toBe('terms.timeout');
  });
});

test('listings, explain and status speak of the one network there is', async () => {
  const { services } = await bench.ask(adminService.listServices, {});
  expect(services).toMatchObject([{ service: { name: 'redis' }, addresses: ['127.80.0.1'], instances: [] }]);
  expect(await bench.ask(adminService.listAgents, { network: 'prod' })).toEqual({ agents: [] });
  expect(await bench.ask(adminService.getStatus, {})).toMatchObject({
    version: '1.2.3',
    startTime: { seconds: 0, nanos: 5_000_000 },
    problems: [{ code: 'flows-not-written', message: 'full', sinceTime: { seconds: 0, nanos: 5_000_000 } }],
    networks: [{ network: 'prod', revision: 1, services: 1, agents: 0, connected: 0, behind: [] }],
  });
  const request = { from: { service: 'web' }, service: 'redis', port: 6379, protocol: 1 };
  expect(await bench.ask(adminService.explain, request)).toMatchObject({
    verdict: 2,
    reason: 'there is no caller web in network prod',
    breakPoint: 2,
  });
  expect((await refusal(bench.ask(adminService.explain, { ...request, protocol: 0 }))).code).toBe(
    status.INVALID_ARGUMENT,
  );
  expect((await refusal(bench.ask(adminService.getMesh, { network: 'nope' }))).code).toBe(status.NOT_FOUND);
  expect((await refusal(bench.ask(adminService.revokeAgent, { agent: 'nobody' }))).code).toBe(status.NOT_FOUND);
});

test('tokens are made, listed without secrets, and revoked', async () => {
  const made = await bench.ask(adminService.createToken, {
    services: ['redis', 'redis'],
    host: 'build-3',
    ttl: durationToWire(60_000),
  });
  const token = decodeJoinToken(made.token);
  expect(token).toMatchObject({ addresses: ['127.0.0.1:7400'], id: made.tokenId });
  expect(Buffer.from(token.pin).equals(bench.pin)).toBe(true);
  const { tokens } = await bench.ask(adminService.listTokens, {});
  expect(tokens).toMatchObject([
    {
      tokenId: made.tokenId,
      services: ['redis'],
      host: 'build-3',
      uses: 0,
      revoked: false,
      createTime: timestampToWire(timestampFromWire(made.expireTime, '') - 60_000),
    },
  ]);
  expect(JSON.stringify(tokens)).not.toContain(token.secret);
  const revoke = () => bench.ask(adminService.revokeToken, { tokenId: made.tokenId });
  const { revision } = await revoke();
  expect(revision).toBeGreaterThan(0);
  const [ended] = (await bench.ask(adminService.listTokens, {})).tokens;
  expect(await revoke()).toMatchObject({ hosts: [], revision: 0, already: true });
  expect([ended?.revoked, (ended?.endTime?.seconds ?? 0) > 1_700_000_000, tokens[0]?.endTime]).toEqual([
    true,
    true,
    null,
  ]);
  const error = await refusal(
    bench.ask(adminService.createToken, {
      services: ['no good'],
      host: 'No',
      addresses: ['x'],
      ttl: durationToWire(1e12),
    }),
  );
  expect(errorDetails(error).fields.map(({ field }) => field)).toEqual(['services[0]', 'host', 'ttl', 'addresses[0]']);
});

test('reach, revisions, a mesh from before, and who did it', async () => {
  const { reach, revision } = await bench.ask(adminService.listReach, { service: 'redis' });
  // The token that was revoked above made the second.
  expect(revision).toBe(2);
  expect(reach).toEqual([
    {
      caller: { service: 'redis' },
      ports: redis.ports,
      verdict: 1,
      rule: 'default',
      reason: 'no policy is about redis to redis:6379/tcp, and the default is allow',
    },
    expect.objectContaining({ caller: { internet: {} }, verdict: 2, rule: 'builtin:ingress' }),
  ]);
  expect((await refusal(bench.ask(adminService.listReach, { service: 'nope' }))).code).toBe(status.NOT_FOUND);
  const unnamed = await refusal(bench.ask(adminService.listReach, { service: '' }));
  expect([unnamed.code, errorDetails(unnamed).fields[0]?.field]).toEqual([status.INVALID_ARGUMENT, 'service']);

  const web = { name: 'web', kind: 2, ports: [{ protocol: 1, first: 80, last: 80 }] };
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis, web] } });
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  const { revisions } = await bench.ask(adminService.listRevisions, {});
  expect(revisions.map((one) => [one.revision, one.changes.map(({ subject }) => subject)])).toEqual([
    [4, ['service web']],
    [3, ['service web']],
    [1, ['network prod', 'service redis']],
  ]);
  const newest = await bench.ask(adminService.listRevisions, { pageSize: 1 });
  expect(newest.revisions.map((one) => one.revision)).toEqual([4]);
  const rest = await bench.ask(adminService.listRevisions, { pageToken: newest.nextPageToken });
  expect([rest.revisions.map((one) => one.revision), rest.nextPageToken]).toEqual([[3, 1], '']);
  const names = async (asked: number): Promise<string[] | undefined> =>
    (await bench.ask(adminService.getMesh, { revision: asked })).mesh?.services.map(({ name }) => name);
  expect([await names(1), await names(3), await names(0)]).toEqual([['redis'], ['redis', 'web'], ['redis']]);
  expect((await refusal(bench.ask(adminService.getMesh, { revision: 5 }))).code).toBe(status.NOT_FOUND);

  const { entries, nextPageToken } = await bench.ask(adminService.listAudit, { network: 'prod', pageSize: 2 });
  expect(entries).toMatchObject([
    {
      actor: { kind: 1, name: '127.0.0.1' },
      action: 'rollback',
      subject: 'revision 1',
      revision: 4,
      detail: '1 change',
    },
    {
      actor: { kind: 1, name: '127.0.0.1' },
      action: 'apply',
      subject: 'network prod',
      revision: 3,
      detail: '1 change',
    },
  ]);
  const older = await bench.ask(adminService.listAudit, { network: 'prod', pageToken: nextPageToken });
  expect(older.entries.every(({ sequence }) => sequence < (entries[1]?.sequence ?? 0))).toBe(true);
  expect(older.entries.map(({ revision: made }) => made)).toContain(1);
  // A token is good for its listing alone.
  for (const wrong of [{ pageToken: nextPageToken }, { pageToken: 'x' }, { pageSize: 1_001 }]) {
    expect((await refusal(bench.ask(adminService.listAudit, wrong))).code).toBe(status.INVALID_ARGUMENT);
  }
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
    user: '',
    unit: '',
    program: '',
    detail: '',
  });
  bench.flows.add('prod', 'b', [flow('1'), flow('2')], 0);
  const stream = callServerStream(bench.client, adminService.watchFlows, { past: 1 }, { metadata });
  const seen: string[] = [];
  const ended = new Promise<void>((resolve) => stream.once('error', () => resolve()));
  await new Promise<void>((resolve) => {
    stream.on('data', ({ flow: told }: pb.WatchFlowsResponse) => {
      if (!told) {
        bench.flows.add('prod', 'b', [flow('3')], 0);
        return;
      }
      seen.push(told.id);
      if (seen.length === 2) resolve();
    });
  });
  expect(seen).toEqual([flow('2').id, flow('3').id]);
  stream.cancel();
  await ended;

  const first = await bench.ask(adminService.listFlows, { pageSize: 2 });
  expect(first.flows.map(({ id }) => id)).toEqual([flow('3').id, flow('2').id]);
  const last = await bench.ask(adminService.listFlows, { pageSize: 2, pageToken: first.nextPageToken });
  expect(last).toMatchObject({ flows: [{ id: flow('1').id, caller: { service: 'web' } }], nextPageToken: '' });
});

test('a watch that is refused ends with its status, and does not leave the watcher waiting', async () => {
  const stream = callServerStream(bench.client, adminService.watchFlows, { network: 'nowhere' }, { metadata });
  const error = await new Promise<ServiceError>((resolve) =>
    stream.once('error', (cause) => resolve(cause as ServiceError)).resume(),
  );
  expect(error.code).toBe(status.NOT_FOUND);
});

test('explain tells where a rule comes from: to the read token without the address that it was set from', async () => {
  const no = { name: 'no', action: 2, from: ['*'], to: ['redis'] };
  const mesh = { network: 'origins', services: [redis], policies: [no] };
  const apply = (more: pb.Outgoing<pb.ApplyRequest>) => bench.ask(adminService.apply, { mesh, ...more });
  const wrong = async (more: pb.Outgoing<pb.ApplyRequest>) => errorDetails(await refusal(apply(more))).fields;
  expect(await wrong({ file: 'etc/mesh.yaml' })).toMatchObject([{ field: 'file' }]);
  expect(await wrong({ file: 'x'.repeat(256) })).toMatchObject([{ field: 'file' }]);
  expect(await wrong({ policyLines: [3] })).toMatchObject([{ field: 'file' }]);
  expect(await wrong({ file: 'mesh.yaml', policyLines: [3, 4] })).toMatchObject([
    { field: 'policy_lines', message: '2 entries; expected none, or one for each of 1 policies' },
  ]);
  const { result } = await apply({ file: 'mesh.yaml', policyLines: [3] });
  const request = { network: 'origins', from: { service: 'redis' }, service: 'redis', port: 6379, protocol: 1 };
  const { remedy, decidingRuleOrigin: origin } = await bench.ask(adminService.explain, request);
  expect(origin).toMatchObject({ rule: 'no', file: 'mesh.yaml', line: 3, revision: result?.revision });
  expect(origin?.actor).toEqual({ kind: 1, name: '127.0.0.1' });
  expect(timestampFromWire(origin?.setTime, '')).toBeGreaterThan(Date.now() - 60_000);
  expect(remedy?.deniesOrigins).toMatchObject([{ rule: 'no', line: 3 }]);
  const seen = await callUnary(bench.client, adminService.explain, request, { metadata: readMetadata });
  expect(seen.decidingRuleOrigin).toMatchObject({ rule: 'no', line: 3, revision: result?.revision });
  expect(seen.decidingRuleOrigin?.actor?.name).toBe('');
  await bench.ask(adminService.putPolicy, { network: 'origins', policy: { ...no, from: ['redis'] } });
  const put = (await bench.ask(adminService.explain, request)).decidingRuleOrigin;
  expect(put).toMatchObject({ file: '', line: 0, revision: Number(result?.revision) + 1, actor: { kind: 1 } });
  await bench.ask(adminService.deleteNetwork, { network: 'origins', confirm: 'origins' });
});
