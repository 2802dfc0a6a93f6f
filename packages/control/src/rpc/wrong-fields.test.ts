/** Requests that are wrong in several fields: each is named, and what else could be said of them is not. */
import { status } from '@grpc/grpc-js';
import { adminService, errorDetails, type pb } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminBench, redis, refusal, startAdmin } from './admin.fixture.ts';

let bench: AdminBench;
beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
});
afterAll(() => bench.close());

type Asked<Name extends keyof typeof adminService> = Parameters<(typeof adminService)[Name]['requestSerialize']>[0];

function asked<Name extends keyof typeof adminService>(name: Name, request: Asked<Name>) {
  return [name, request] as const;
}

const LATE: pb.Outgoing<pb.ChangeTerms> = { timeout: { seconds: 601 } };
const NETWORK = 'No!';
const pageSize = 1_001;

test.each([
  [
    ...asked('createToken', {
      network: NETWORK,
      services: ['redis', 'No!'],
      host: 'No!',
      roles: [1, 9],
      ttl: { seconds: -1 },
      addresses: ['a:1', 'b'],
    }),
    ['network', 'services[1]', 'host', 'roles', 'ttl', 'addresses[1]'],
  ],
  [
    ...asked('replaceToken', { tokenId: '!', ttl: { nanos: -1 }, addresses: ['b'] }),
    ['token_id', 'ttl', 'addresses[0]'],
  ],
  [
    ...asked('putService', { network: NETWORK, service: { name: 'a', ports: [{ first: 1, last: 0 }] }, terms: LATE }),
    ['network', 'service.kind', 'service.ports[0].protocol', 'service.ports[0]', 'terms.timeout'],
  ],
  [
    ...asked('putPolicy', { policy: { from: ['a\nb'], to: ['c\nd'] } }),
    ['policy.action', 'policy.from[0]', 'policy.to[0]'],
  ],
  [...asked('deleteService', { network: NETWORK, terms: LATE }), ['network', 'name', 'terms.timeout']],
  [...asked('grantServices', { agent: '!', terms: LATE }), ['agent', 'services', 'terms.timeout']],
  [...asked('renameAgent', { network: NETWORK, agent: '!', host: '!' }), ['network', 'agent', 'host']],
  [...asked('revokeAgent', { network: NETWORK, agent: '!' }), ['network', 'agent']],
  [...asked('explain', { network: NETWORK, from: { service: '!' } }), ['network', 'from.service', 'protocol']],
  [...asked('listServices', { network: NETWORK, pageSize }), ['network', 'page_size']],
  [...asked('listAgents', { pageSize, view: 9 }), ['view', 'page_size']],
  [
    ...asked('listFlows', { network: NETWORK, filter: { port: 70_000, verdict: 9 } }),
    ['network', 'filter.port', 'filter.verdict'],
  ],
  [...asked('listFlows', { filter: { port: 70_000 }, pageSize }), ['filter.port', 'page_size']],
  [...asked('countFlows', { network: NETWORK, buckets: 100_000 }), ['network', 'buckets']],
  [
    ...asked('listOpenFlows', { filter: { port: 70_000, caller: { host: '!' } } }),
    ['filter.port', 'filter.caller.host'],
  ],
  [...asked('listAudit', { network: NETWORK, pageSize }), ['network', 'page_size']],
])('%s', async (name, request, fields) => {
  const error = await refusal(bench.ask(adminService[name] as never, request as never));
  expect([error.code, errorDetails(error).fields.map(({ field }) => field)]).toEqual([status.INVALID_ARGUMENT, fields]);
});

test('of more than can be told the first are, and how many there are', async () => {
  const services = Array.from({ length: 1_000 }, () => ({ name: 'a' }));
  const error = await refusal(bench.ask(adminService.apply, { mesh: { network: 'prod', services } }));
  const { fields, metadata } = errorDetails(error);
  expect([fields[0]?.field, fields.length <= 100, metadata.fields]).toEqual(['services.a.kind', true, '1000']);
  expect(error.details).toMatch(/\(and 999 more\)$/);
});
