import type { PairTraffic, Telemetry } from '@weft/proto';
import { adminService, agentViewCodec, durationToWire, type pb, timestampToWire } from '@weft/proto/wire';
import { expect, test } from 'vitest';
import type { LiveAgent } from '../fleet/live.ts';
import { EMPTY_REPORT } from '../fleet/report.ts';
import { agentOn, current, emptyState, joinHost, mesh, networkOf } from '../netmap/network.fixture.ts';
import type { TokenState } from '../state/types.ts';
import { createTraffic } from '../traffic/traffic.ts';
import { listAgents, listTokens, listTraffic, networkStatus } from './listings.ts';

const FIRST = { pageSize: 0, pageToken: '' };
const NOW = 1_700_000_000_000;
const peer = { host: 'two', tunnels: 1, roundTripUs: 300, bytesSent: 5, bytesReceived: 6, pathSize: 1_400 };
const telemetry: Telemetry = {
  sentMs: NOW,
  intervalMs: 5_000,
  pairs: [],
  pairsOmitted: 0,
  peers: [peer],
  loopDelayUs: 900,
  flowsQueued: 3,
  recordsLost: 4,
};

async function statuses(live: Partial<LiveAgent> | undefined): Promise<pb.Agent[]> {
  const state = await emptyState(() => NOW);
  await state.apply(mesh({}), { dryRun: false, actor: 'control' });
  await joinHost(state, 'prod', { host: 'one' });
  const fleet = { agent: () => live as LiveAgent, instance: () => undefined };
  const agents = listAgents(current(state), fleet, { ...FIRST, view: agentViewCodec.toWire('full') }, NOW);
  const { responseDeserialize, responseSerialize } = adminService.listAgents;
  return responseDeserialize(responseSerialize(agents)).agents;
}

test('an agent is listed with how far it is behind, how far its clock is off, and what moves there', async () => {
  const live = { connected: true, behindSinceMs: NOW - 1_500, clockSkewMs: -12.5, telemetry };
  const [agent] = await statuses(live);
  expect(agent).toMatchObject({
    behind: { seconds: 1, nanos: 500_000_000 },
    clockSkew: { seconds: 0, nanos: -12_000_000 },
  });
  const { roundTripUs: _, ...way } = peer;
  expect(agent?.telemetry).toMatchObject({
    sendTime: timestampToWire(NOW),
    loopDelay: durationToWire(0.9),
    flowsQueued: 3,
    recordsLost: 4,
    peers: [{ ...way, roundTrip: { seconds: 0, nanos: 300_000 } }],
  });
});

test('an agent is listed with where control sees it come from, and why that is not where it says', async () => {
  const report = { ...EMPTY_REPORT, endpoints: ['10.0.0.3:7410'] };
  const [agent] = await statuses({ connected: true, observedHost: '198.51.100.7', report });
  expect(agent).toMatchObject({
    observedHost: '198.51.100.7',
    addressHint: 'behind NAT: it knows of private addresses alone',
    report: { endpoints: ['10.0.0.3:7410'] },
  });
});

test('a token leaves the list a day after it came to admit nobody, but for who asks for all', async () => {
  const day = 86_400_000;
  let now = NOW;
  const state = await emptyState(() => now);
  const make = async (rest: { reusable: boolean }, lifetimeMs: number): Promise<TokenState> => {
    const scope = { network: 'prod', services: [], host: '', roles: [], ephemeral: false, ...rest };
    return await state.createToken(scope, new Uint8Array(32), lifetimeMs, 'control');
  };
  const used = await make({ reusable: false }, 90 * day);
  const keys = { identityKey: new Uint8Array(32).fill(1), tunnelKey: new Uint8Array(32).fill(2) };
  const revoked = await make({ reusable: true }, 90 * day);
  const [expires, stays] = [await make({ reusable: true }, 3_000), await make({ reusable: true }, 90 * day)];
  const list = (all: boolean): (string | undefined)[] =>
    (listTokens(state.tokens('prod'), 'prod', { ...FIRST, all }, now).tokens ?? []).map(({ tokenId }) => tokenId);
  const [all] = [[stays.id, expires.id, revoked.id, used.id]];
  now += 1_000;
  await state.join({ token: used, host: 'a', ...keys, version: '' });
  now += 1_000;
  await state.revokeToken(revoked.id, 'control');
  now += day - 1_000;
  expect(list(false)).toEqual(all);
  now += 1;
  expect(list(false)).toEqual([stays.id, expires.id, revoked.id]);
  now += 1_000;
  expect(list(false)).toEqual([stays.id, expires.id]);
  now += 1_000;
  expect(list(false)).toEqual([stays.id]);
  // That its only use is looked up again, or that it is revoked too, does not bring it back.
  await state.revokeToken(used.id, 'control');
  expect([list(false), list(true)]).toEqual([[stays.id], all]);
});

test('of a fleet that is behind, some are named and all are counted', async () => {
  const one = await networkOf(mesh({}), [{ host: 'a' }]);
  const agents = Array.from({ length: 300 }, (_, index) => ({ ...agentOn(one, 'a'), host: `host-${index}` }));
  const network = { ...one, agents: new Map(agents.map((agent) => [agent.host, agent])) };
  const live = { agent: () => ({ connected: true, enforcedRevision: 0 }) as LiveAgent, instance: () => undefined };
  const { behind, behindCount } = networkStatus(network, live, 0);
  expect([behind?.length, behind?.[1], behindCount]).toEqual([100, 'host-1', 300]);
});

test.each<[string, Partial<LiveAgent> | undefined]>([
  ['that is not known', undefined],
  ['that has said nothing yet', { behindSinceMs: 0, clockSkewMs: undefined, telemetry: undefined }],
  ['that is behind by a clock that was set back', { behindSinceMs: NOW + 5_000 }],
])('an agent %s is listed with none of it', async (_what, live) => {
  const [agent] = await statuses(live);
  expect(agent).toMatchObject({ behind: durationToWire(0), clockSkew: durationToWire(0) });
  expect(agent?.telemetry ?? undefined).toBe(undefined);
});

test('traffic is listed with its rates and its newest denial', () => {
  const traffic = createTraffic({ now: () => NOW });
  const pair: PairTraffic = {
    source: 'web',
    sourceHost: 'one',
    service: 'redis',
    destinationHost: '',
    open: 2 ** 32 - 1,
    opened: 0,
    denied: 10,
    failed: 5,
    bytesSent: 50,
    bytesReceived: 100,
    lastDenied: { port: 6379, protocol: 'udp', rule: 'no-web', revision: 7 },
  };
  const { lastDenied: _, ...counts } = pair;
  const undenied = { ...counts, destinationHost: 'two' };
  traffic.take('prod', 'one', { ...telemetry, pairs: [pair, undenied], pairsOmitted: 2 ** 32 - 1 });
  traffic.take('prod', 'two', { ...telemetry, pairs: [undenied], pairsOmitted: 2 ** 32 - 1 });
  const { responseDeserialize, responseSerialize } = adminService.listTraffic;
  const listed = responseDeserialize(responseSerialize(listTraffic(traffic, 'prod', FIRST)));
  expect(listed.omitted).toBe(2 ** 32 - 1);
  expect(listed.traffic).toMatchObject([
    {
      caller: { service: 'web' },
      sourceHost: 'one',
      service: 'redis',
      destinationHost: '',
      open: 2 ** 32 - 1,
      openedPerSecond: 0,
      deniedPerSecond: 2,
      failedPerSecond: 1,
      bytesSentPerSecond: 10,
      bytesReceivedPerSecond: 20,
      lastDenied: { port: 6379, protocol: 2, rule: 'no-web', revision: 7, time: timestampToWire(NOW) },
    },
    { destinationHost: 'two', open: 2 ** 32 - 1 },
  ]);
  expect(listed.traffic[1]?.lastDenied ?? undefined).toBe(undefined);
});
