/** Each test goes on from what the one before has left. */
import { status } from '@grpc/grpc-js';
import { adminService, errorDetails, type pb } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinHost } from '../netmap/network.fixture.ts';
import { type AdminBench, redis, refusal, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

const web = { name: 'web', kind: 2, ports: [{ protocol: 1, first: 80, last: 80 }] };
const shut = { name: 'shut', action: 2, from: ['web'], to: ['redis'] };
const held = async (): Promise<pb.Mesh | null | undefined> => (await bench.ask(adminService.getMesh, {})).mesh;
const names = (entries: readonly { readonly name: string }[] | undefined) => entries?.map(({ name }) => name);

test('a service is put, and put again makes no revision', async () => {
  const { result } = await bench.ask(adminService.putService, { service: web });
  expect(result).toMatchObject({ revision: 2, changes: [{ operation: 1, subject: 'service web' }] });
  const again = await bench.ask(adminService.putService, { network: 'prod', service: web });
  expect(again.result).toMatchObject({ revision: 2, changes: [] });
  const ports = [{ protocol: 1, first: 81, last: 81 }];
  const dry = await bench.ask(adminService.putService, { service: { ...web, ports }, terms: { dryRun: true } });
  expect(dry.result).toMatchObject({ revision: 2, changes: [{ operation: 2, detail: 'ports 80 -> 81' }] });
  expect(names((await held())?.services)).toEqual(['redis', 'web']);
});

test('a rule and a host are put, with what an apply would warn of, and waited for', async () => {
  const { result } = await bench.ask(adminService.putPolicy, {
    policy: { ...shut, from: ['host:nobody'] },
    terms: { wait: true },
  });
  expect(result).toMatchObject({ revision: 3, stragglers: ['slow'], warnings: [{ field: 'policy.from[0]' }] });
  expect(bench.waited).toEqual(['prod', 3, 10_000]);
  await bench.ask(adminService.putPolicy, { policy: shut });
  const said = await bench.ask(adminService.putAgent, { agent: { name: 'data-1', tags: ['eu'] } });
  expect(said.result).toMatchObject({ revision: 5, changes: [{ subject: 'agent data-1', detail: 'tags eu' }] });
  const unsaid = await bench.ask(adminService.putAgent, { agent: { name: 'data-1' } });
  expect(unsaid.result).toMatchObject({ revision: 6, changes: [{ operation: 3, subject: 'agent data-1' }] });
  expect((await bench.ask(adminService.putAgent, { agent: { name: 'data-1' } })).result?.revision).toBe(6);
  expect(await held()).toMatchObject({ policies: [{ name: 'shut', from: ['web'] }], agents: [] });
});

test('what is wrong is named as it stands in the request, and changes nothing', async () => {
  const fields = async (asked: Promise<unknown>): Promise<string[]> =>
    errorDetails(await refusal(asked)).fields.map(({ field }) => field);
  expect(await fields(bench.ask(adminService.putService, {}))).toEqual(['service']);
  expect(await fields(bench.ask(adminService.putService, { service: { ...web, kind: 0 } }))).toEqual(['service.kind']);
  expect(await fields(bench.ask(adminService.putService, { service: { ...web, ports: [] } }))).toEqual([
    'service.ports',
  ]);
  const timed = (more: object) => {
    const service = { ...web, kind: 1, public: { port: 80, hosts: ['a.example'], ...more } };
    return fields(bench.ask(adminService.putService, { service }));
  };
  expect(await timed({ responseTimeout: { seconds: 0, nanos: 1 } })).toEqual(['service.public.responseTimeout']);
  // Of the days before there was a length of time for it.
  expect(await timed({ responseTimeoutMs: 5_000 })).toEqual(['service.public.response_timeout_ms']);
  expect(await fields(bench.ask(adminService.putPolicy, { policy: { ...shut, from: ['No!'] } }))).toEqual([
    'policy.from[0]',
  ]);
  expect(await fields(bench.ask(adminService.deletePolicy, {}))).toEqual(['name']);
  for (const [method, name] of [
    [adminService.deleteService, 'nope'],
    [adminService.deletePolicy, 'nope'],
  ] as const) {
    expect((await refusal(bench.ask(method, { name }))).code).toBe(status.NOT_FOUND);
  }
  const elsewhere = await refusal(bench.ask(adminService.putService, { network: 'nowhere', service: web }));
  expect(elsewhere.code).toBe(status.NOT_FOUND);
});

test('a tag that is none is named where it stands in the request', async () => {
  const agent = { name: 'data-1', tags: ['eu', 'x'.repeat(1_000)] };
  const refused = await refusal(bench.ask(adminService.putAgent, { agent }));
  expect(errorDetails(refused).fields).toMatchObject([{ field: 'agent.tags[1]' }]);
});

test('what was changed since the revision that is expected is not changed', async () => {
  const { revision } = await bench.ask(adminService.getMesh, {});
  // A token that is revoked makes a revision, and leaves the mesh as it is.
  const { tokenId } = await bench.ask(adminService.createToken, { network: 'prod' });
  await bench.ask(adminService.revokeToken, { tokenId });
  const put = await bench.ask(adminService.putService, {
    service: { ...web, tags: ['eu'] },
    terms: { expectedRevision: revision },
  });
  expect(put.result?.revision).toBe(revision + 2);
  for (const expectedRevision of [revision, revision + 1, revision + 3]) {
    const terms = { expectedRevision };
    const late = await refusal(bench.ask(adminService.putService, { service: web, terms }));
    expect([late.code, errorDetails(late).reason]).toEqual([status.FAILED_PRECONDITION, 'CHANGED_SINCE']);
    expect(Object.keys(errorDetails(late).metadata)).toEqual(['revision', 'newest']);
    expect(late.details).toContain(`the newest is ${revision + 2}`);
    const whole = await refusal(bench.ask(adminService.apply, { mesh: { network: 'prod', services: [] }, terms }));
    expect(whole.code).toBe(status.FAILED_PRECONDITION);
  }
  const terms = { expectedRevision: 1 };
  const fresh = await refusal(bench.ask(adminService.apply, { mesh: { network: 'new', services: [] }, terms }));
  expect(fresh.code).toBe(status.FAILED_PRECONDITION);
});

test('what is taken away is gone, and the audit names each act', async () => {
  await bench.ask(adminService.deletePolicy, { name: 'shut' });
  await bench.ask(adminService.deleteService, { name: 'web' });
  expect(await held()).toMatchObject({ policies: [], services: [{ name: 'redis' }] });
  const { entries } = await bench.ask(adminService.listAudit, { network: 'prod' });
  const mesh = entries.filter(({ action }) => /^(service|policy|agent)-/.test(action));
  expect(mesh.map(({ action, subject }) => [action, subject]).reverse()).toEqual([
    ['service-put', 'service web'],
    ['policy-put', 'policy shut'],
    ['policy-put', 'policy shut'],
    ['agent-put', 'agent data-1'],
    ['agent-put', 'agent data-1'],
    ['service-put', 'service web'],
    ['policy-delete', 'policy shut'],
    ['service-delete', 'service web'],
  ]);
});

test('what a member may run is granted and taken, as it is asked for', async () => {
  const { host } = (await joinHost(bench.state, 'prod', { host: 'data-1', services: ['redis'] })).agent;
  const terms = { wait: true };
  const { result, granted } = await bench.ask(adminService.grantServices, {
    agent: host,
    services: ['web', '*'],
    terms,
  });
  expect(granted).toEqual(['*', 'redis', 'web']);
  expect(result).toMatchObject({ changes: [{ subject: 'agent data-1' }], stragglers: ['slow'] });
  const taken = await bench.ask(adminService.grantServices, { agent: host, services: ['*'], take: true, terms });
  expect(taken.granted).toEqual(['redis', 'web']);
  // It is away, and goes on by what it holds.
  expect(taken.result?.stragglers).toEqual(['data-1', 'slow']);
  const idle = await bench.ask(adminService.grantServices, { agent: host, services: ['reddis'], take: true });
  expect(idle.result).toMatchObject({ changes: [], warnings: [{ message: 'data-1 was not let run reddis' }] });
  // What may be web now is denied what is denied to web.
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis, web], policies: [shut] } });
  const denied = await bench.ask(adminService.grantServices, {
    agent: host,
    services: ['web'],
    terms: { dryRun: true },
  });
  expect(denied.result?.warnings).toMatchObject([
    { message: expect.stringMatching(/^rule shut denies every process of data-1/) },
  ]);
  const wrong = await refusal(bench.ask(adminService.grantServices, { agent: host, services: ['redis', 'tag:eu'] }));
  expect(errorDetails(wrong).fields).toMatchObject([{ field: 'services[1]' }]);
  expect(errorDetails(await refusal(bench.ask(adminService.grantServices, { agent: host }))).fields).toMatchObject([
    { field: 'services' },
  ]);
  const nobody = bench.ask(adminService.grantServices, { agent: 'nobody', services: ['web'] });
  expect((await refusal(nobody)).code).toBe(status.NOT_FOUND);
});
