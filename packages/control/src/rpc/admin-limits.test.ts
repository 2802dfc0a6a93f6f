import { ADMIN_LIMITS, decodeJoinToken, encodeJoinToken } from '@weft/proto';
import { adminService, type pb } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import { readTokenOrder, readWait } from '../admin/request.ts';
import { readFlowCount, readFlowPage, readFlowWatch } from './flow-request.ts';
import { readPage } from './page.ts';

const order = {
  network: 'prod',
  services: [],
  host: '',
  roles: [],
  reusable: false,
  newNetwork: false,
  ephemeral: false,
};

/** As they come in: what is not set has its default. */
function watch(request: pb.Outgoing<pb.WatchFlowsRequest>): pb.WatchFlowsRequest {
  return adminService.watchFlows.requestDeserialize(adminService.watchFlows.requestSerialize(request));
}

function page(request: pb.Outgoing<pb.ListFlowsRequest>): pb.ListFlowsRequest {
  return adminService.listFlows.requestDeserialize(adminService.listFlows.requestSerialize(request));
}

function count(request: pb.Outgoing<pb.CountFlowsRequest>): pb.CountFlowsRequest {
  return adminService.countFlows.requestDeserialize(adminService.countFlows.requestSerialize(request));
}

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${index}:1`);
}

/** Each bound, with what reads a request of that size. */
const READERS: Readonly<Record<keyof typeof ADMIN_LIMITS, (size: number) => unknown>> = {
  flows: (past) => readFlowWatch('prod', watch({ past })),
  page: (pageSize) => {
    readFlowPage('prod', page({ pageSize }));
    readPage({ pageSize, pageToken: '' }, { of: [], form: [] });
  },
  buckets: (buckets) => readFlowCount(count({ buckets })),
  flowText: (size) => readFlowPage('prod', page({ filter: { text: 't'.repeat(size) } })),
  tokenSeconds: (seconds) => readTokenOrder({ ...order, addresses: [], ttl: { seconds } }),
  tokenAddresses: (size) => readTokenOrder({ ...order, addresses: addresses(size) }),
  waitMs: readWait,
};

test.each(Object.entries(READERS))('%s: what is at its bound is taken, and one more is not', (bound, read) => {
  const most = ADMIN_LIMITS[bound as keyof typeof ADMIN_LIMITS];
  expect(() => read(most)).not.toThrow();
  expect(() => read(most + 1)).toThrow(expect.objectContaining({ name: 'RequestError' }));
});

test('a token is read with as many addresses as may be ordered, and not with more', () => {
  const token = (count: number): string =>
    encodeJoinToken({ addresses: addresses(count), pin: new Uint8Array(32), id: 'tk_1', secret: 's'.repeat(16) });
  const most = ADMIN_LIMITS.tokenAddresses;
  expect(decodeJoinToken(token(most)).addresses).toHaveLength(most);
  expect(() => decodeJoinToken(token(most + 1))).toThrow('damaged');
});
