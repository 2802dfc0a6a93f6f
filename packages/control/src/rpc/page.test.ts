import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Problem, Report } from '@weft/proto';
import { adminService, agentViewCodec } from '@weft/proto/wire';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LiveAgent } from '../fleet/live.ts';
import { agentOn, mesh, networkOf } from '../netmap/network.fixture.ts';
import type { NetworkState } from '../state/types.ts';
import { listAgents } from './listings.ts';
import { pageOf, readPage, tokenOf } from './page.ts';

const listing = { of: ['numbers', 'prod'], form: [0] };
const telling = { key: (number: number) => [number], tell: (number: number) => number };

test('an entry that is there all the time is shown once, whatever comes and goes between pages', () => {
  const number = fc.integer({ min: -50, max: 50 });
  fc.assert(
    fc.property(
      fc.uniqueArray(number, { minLength: 1, maxLength: 30 }),
      fc.array(fc.uniqueArray(number), { minLength: 1 }),
      fc.integer({ min: 1, max: 7 }),
      (staying, passing, pageSize) => {
        const seen: number[] = [];
        let pageToken = '';
        let turn = 0;
        do {
          const entries = new Set([...staying, ...(passing[turn++ % passing.length] ?? [])]);
          const told = pageOf(entries, readPage({ pageSize, pageToken }, listing), telling);
          expect(told.page.length).toBeLessThanOrEqual(pageSize);
          seen.push(...told.page);
          pageToken = told.nextPageToken;
        } while (pageToken !== '');
        expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other));
        expect(staying.filter((number) => !seen.includes(number))).toEqual([]);
      },
    ),
  );
});

test('what weighs much is a page of its own, and no page is empty before the last', () => {
  const entries = [1, 2, 3, 4];
  const weigh = (number: number) => (number === 2 ? 20_000 : 4_000);
  const pages: number[][] = [];
  let pageToken = '';
  do {
    const { page, nextPageToken } = pageOf(entries, readPage({ pageSize: 0, pageToken }, listing), {
      ...telling,
      weigh,
    });
    pages.push(page);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  expect(pages).toEqual([[1], [2], [3, 4]]);
});

test.each([
  ['of another listing', tokenOf({ ...listing, of: ['numbers', 'stage'] }, [1])],
  ['with a key of another form', tokenOf(listing, ['1'])],
  ['with a number that is none', tokenOf(listing, [2 ** 60])],
  ['with more than a key', tokenOf(listing, [1, 2])],
  ['that is no list', Buffer.from('{"length":3}').toString('base64url')],
  ['that is nothing', 'nothing'],
  ['too long', 'x'.repeat(3_000)],
])('a token %s is refused', (_what, pageToken) => {
  const fields = [expect.objectContaining({ field: 'page_token' })];
  expect(() => readPage({ pageSize: 0, pageToken }, listing)).toThrow(expect.objectContaining({ fields }));
});

test('10,000 agents are listed page by page with flat memory, also with all that they say', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const small = await networkOf(mesh({}), [{ host: 'a' }]);
  const one = agentOn(small, 'a');
  const hosts = Array.from({ length: 10_000 }, (_, index) => `host-${(index * 7_919) % 10_000}`);
  const network: NetworkState = {
    ...small,
    agents: new Map(hosts.map((host, index) => [`ag_${index}`, { ...one, id: `ag_${index}`, host }])),
  };
  const problems: Problem[] = Array.from({ length: 10 }, (_, index) => ({
    code: 'port-taken',
    subject: `redis:${index}/tcp`,
    message: 'another program holds the port, so that it cannot be listened on; '.repeat(3),
  }));
  const report = {
    endpoints: [],
    instances: [],
    problems,
    tunnelPort: 7_410,
    gatewayAddress: '',
    tunnels: 0,
    flows: 0,
    listeners: 0,
    toldApart: [],
    othersAsHost: false,
    exposed: [],
    triedByPeers: false,
  };
  const live = {
    agent: () => ({ report: report satisfies Report }) as unknown as LiveAgent,
    instance: () => undefined,
  };

  for (const [word, mostPages] of [
    ['basic', 10],
    ['full', 120],
  ] as const) {
    let [seen, pages, pageToken] = [0, 0, ''];
    let [last, mostBytes] = ['', 0];
    collect();
    const { heapUsed } = process.memoryUsage();
    let mostHeld = 0;
    do {
      const request = { pageSize: 1_000, pageToken, view: agentViewCodec.toWire(word) };
      const listed = listAgents(network, live, request, 0);
      for (const { host = '' } of listed.agents ?? []) {
        expect(host > last).toBe(true);
        last = host;
        seen += 1;
      }
      mostBytes = Math.max(mostBytes, adminService.listAgents.responseSerialize(listed).length);
      pageToken = listed.nextPageToken ?? '';
      pages += 1;
      if (pages % 20 === 1) {
        collect();
        mostHeld = Math.max(mostHeld, process.memoryUsage().heapUsed - heapUsed);
      }
    } while (pageToken !== '');
    expect(seen).toBe(10_000);
    expect(pages).toBeLessThanOrEqual(mostPages);
    expect(mostBytes).toBeLessThan(1_048_576);
    expect(mostHeld).toBeLessThan(8 * 1_048_576);
  }
});
