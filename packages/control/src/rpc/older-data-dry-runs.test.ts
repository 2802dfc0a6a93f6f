/** Control's data is an older copy than agents heard of: nothing is changed, and what would be is told. */
import { status } from '@grpc/grpc-js';
import { adminService, errorDetails } from '@weft/proto/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinHost } from '../netmap/network.fixture.ts';
import { type AdminBench, redis, refusal, startAdmin } from './admin.fixture.ts';

const web = { name: 'web', kind: 2, ports: [{ protocol: 1, first: 80, last: 80 }] };
const mesh = { network: 'prod', services: [redis, web] };
const dryRun = { dryRun: true };
let bench: AdminBench;

beforeAll(async () => {
  bench = await startAdmin();
  await bench.ask(adminService.apply, { mesh: { network: 'prod', services: [redis] } });
  await joinHost(bench.state, 'prod', { host: 'data-1', services: [] });
  await bench.state.foundOlder('build-4', 99);
});
afterAll(() => bench.close());

const older = {
  field: 'network',
  message: expect.stringMatching(/older.*host: build-4.*revision 99.*--accept-older-data/),
};

test('what an apply would change is told, as far as control knows, and what it is worth', async () => {
  const { current } = bench.state;
  const { result } = await bench.ask(adminService.apply, { mesh, terms: dryRun });
  expect(result?.changes).toMatchObject([{ subject: 'service web' }]);
  expect(result?.warnings[0]).toEqual(older);
  const again = await bench.ask(adminService.apply, { mesh: { ...mesh, services: [redis] }, terms: dryRun });
  expect(again.result).toMatchObject({ changes: [], warnings: [older] });
  expect(bench.state.current).toBe(current);
});

test('so is what one entry or a grant would change', async () => {
  const { current } = bench.state;
  const put = await bench.ask(adminService.putService, { service: web, terms: dryRun });
  expect(put.result).toMatchObject({ changes: [{ subject: 'service web' }], warnings: [older] });
  const granted = await bench.ask(adminService.grantServices, { agent: 'data-1', services: ['redis'], terms: dryRun });
  expect(granted.result).toMatchObject({ changes: [{ subject: 'agent data-1' }], warnings: [older] });
  expect(bench.state.current).toBe(current);
});

test('and nothing is changed', async () => {
  const { current } = bench.state;
  for (const asked of [
    bench.ask(adminService.apply, { mesh }),
    bench.ask(adminService.putService, { service: web }),
    bench.ask(adminService.grantServices, { agent: 'data-1', services: ['redis'] }),
  ]) {
    const error = await refusal(asked);
    expect([error.code, errorDetails(error).reason]).toEqual([status.FAILED_PRECONDITION, 'OLDER_DATA']);
  }
  expect(bench.state.current).toBe(current);
});
