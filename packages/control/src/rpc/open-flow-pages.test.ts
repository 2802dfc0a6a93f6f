import type { OpenFlow, OpenFlowFilter } from '@weft/proto';
import { adminService, openFlowFromWire, type pb } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import type { OpenFlowsPage } from '../admin/open-flows.ts';
import type { NetworkState } from '../state/types.ts';
import { listOpenFlows } from './open-flow-pages.ts';

const network = { name: 'prod' } as NetworkState;
const flow: OpenFlow = {
  ...{ id: '0123456789abcdef', source: 'host:a', sourceHost: 'a', service: 'redis', instance: 'redis/0', port: 6379 },
  ...{ destinationHost: 'b', protocol: 'udp', bytesSent: 1, bytesReceived: 2, ageMs: 5_000, idleMs: 1_500 },
  ...{ user: 'bin', unit: 'web.service', program: '/usr/bin/node' },
};

function walkOf(page: OpenFlowsPage) {
  const asked: unknown[] = [];
  return {
    asked,
    page: (_network: NetworkState, ...rest: readonly unknown[]) => {
      asked.push(rest);
      return Promise.resolve(page);
    },
  };
}

const SIGNAL = new AbortController().signal;
const { requestSerialize, requestDeserialize } = adminService.listOpenFlows;
const ask = async (walk: Parameters<typeof listOpenFlows>[0], request: pb.Outgoing<pb.ListOpenFlowsRequest>) =>
  listOpenFlows(walk, network, requestDeserialize(requestSerialize(request)), 1_000_000, 'read', SIGNAL);

test('a page tells of its hosts, and its token is good for the same question alone', async () => {
  const page: OpenFlowsPage = { hosts: [{ host: 'b', state: 'told', flows: [flow], omitted: 3 }], next: [1, 'b'] };
  const walk = walkOf(page);
  const wire = { caller: { host: 'a' }, service: 'redis', host: 'b', port: 6379 };
  const told = await ask(walk, { filter: wire });
  const filter: OpenFlowFilter = { source: 'host:a', service: 'redis', host: 'b', port: 6379 };
  expect(walk.asked).toEqual([[filter, [0, ''], 100, 'read', SIGNAL]]);
  expect(told.hosts).toMatchObject([{ host: 'b', state: 1, omitted: 3 }]);
  const { ageMs, ...rest } = flow;
  expect(told.hosts?.[0]?.flows?.map(openFlowFromWire)).toEqual([{ ...rest, startedMs: 1_000_000 - ageMs }]);
  const pageToken = told.nextPageToken ?? '';
  await ask(walk, { filter: wire, pageToken, pageSize: 7 });
  expect(walk.asked.at(-1)).toEqual([filter, [1, 'b'], 7, 'read', SIGNAL]);
  const refused = { fields: [{ field: 'page_token' }] };
  await expect(ask(walk, { filter: { ...wire, port: 1 }, pageToken })).rejects.toMatchObject(refused);
  await expect(ask(walk, { pageToken: 'x' })).rejects.toMatchObject(refused);
});

test('the last page has no token, and a question that means nothing is refused', async () => {
  const walk = walkOf({ hosts: [], next: undefined });
  expect(await ask(walk, {})).toEqual({ hosts: [], nextPageToken: '' });
  const filter = { service: 's'.repeat(300), host: 'h'.repeat(300), port: 70_000 };
  await expect(ask(walk, { filter })).rejects.toMatchObject({
    fields: [{ field: 'filter.service' }, { field: 'filter.host' }, { field: 'filter.port' }],
  });
  await expect(ask(walk, { filter: { caller: { host: '_' } } })).rejects.toMatchObject({
    field: 'filter.caller.host',
  });
});
