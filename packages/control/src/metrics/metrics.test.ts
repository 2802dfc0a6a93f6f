import { status } from '@grpc/grpc-js';
import { loadMetrics } from '@weft/proto/observe';
import { adminService, agentService } from '@weft/proto/wire';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { LiveAgent } from '../fleet/live.ts';
import { emptyState, joinHost, mesh, service, tcp } from '../netmap/network.fixture.ts';
import { createTraffic } from '../traffic/traffic.ts';
import { reportOf } from '../watch/fake-agent.fixture.ts';
import { createCounters } from './counters.ts';
import type { GaugeSources } from './gauges.ts';
import { openMetrics } from './metrics.ts';
import { totalsByNetwork } from './network-totals.ts';

const NOW = 1_700_000_000_000;
const actor = 'control';

function agent(more: Partial<LiveAgent>): LiveAgent {
  return {
    connected: true,
    lastSeenMs: NOW,
    enforcedRevision: 0,
    kept: true,
    enforcedSinceMs: 0,
    version: '1.0.0',
    capability: 2,
    report: undefined,
    observedHost: '',
    behindSinceMs: 0,
    clockSkewMs: undefined,
    telemetry: undefined,
    peerRates: new Map(),
    ...more,
  };
}

/** Two agents of `prod`, of which one is behind, and one that is not there. */
async function setUp(): Promise<GaugeSources> {
  const state = await emptyState(() => NOW);
  await state.apply(mesh({ services: [service('redis', 'private', tcp(6379))] }), { dryRun: false, actor });
  const ids: string[] = [];
  for (const host of ['one', 'two', 'three']) {
    ids.push((await joinHost(state, 'prod', { host, services: ['redis'] })).agent.id);
  }
  for (const id of ids) await state.registerInstances(id, ['redis']);
  const problems = ['port-taken', 'exposed', 'exposed-reached'].map((code) => ({
    code,
    subject: 'redis',
    message: 'm',
  }));
  const live = new Map([
    [ids[0], agent({ behindSinceMs: NOW - 30_000, clockSkewMs: -4_000, report: reportOf(['redis'], { problems }) })],
    [ids[1], agent({ enforcedRevision: state.current.revision, clockSkewMs: 1_500 })],
    [ids[2], agent({ connected: false, behindSinceMs: NOW - 90_000 })],
  ]);
  const traffic = createTraffic({ now: () => NOW });
  const counts = { opened: 1, denied: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
  const pair = { source: 'web', sourceHost: 'one', service: 'redis', destinationHost: 'two', open: 4, ...counts };
  const told = { sentMs: NOW, intervalMs: 5_000, pairs: [pair], pairsOmitted: 2, peers: [] };
  traffic.take('prod', 'one', { ...told, loopDelayUs: 0, flowsQueued: 0, recordsLost: 0 });
  return {
    state,
    live: {
      agent: (id) => live.get(id),
      instance: (id) => (id === ids[0] ? { healthy: true, notListening: [] } : undefined),
    },
    traffic,
    flows: { dropped: () => 9, kept: { records: 12, oldestMs: NOW - 5_000, diskBytes: 4_096 } },
    disk: { problems: [{ code: 'flows-not-written', message: 'full', sinceMs: NOW }] },
    version: '1.2.3',
    now: () => NOW,
  };
}

async function scrape(sources: GaugeSources): Promise<string> {
  const metrics = await openMetrics();
  const address = { host: '127.0.0.1', port: 0 };
  const server = await metrics.serve({ address, sources, unready: () => undefined, logger: pino({ level: 'silent' }) });
  const answer = await fetch(`http://127.0.0.1:${server.address.port}/metrics`);
  const text = await answer.text();
  await server.close();
  return text;
}

test('a scrape tells how each network fares', async () => {
  const sources = await setUp();
  const lines = (await scrape(sources)).split('\n');
  const { revision } = sources.state.current;
  expect(lines).toEqual(
    expect.arrayContaining([
      `weft_control_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
      'weft_control_networks 1',
      `weft_control_revision{network="prod"} ${revision}`,
      'weft_control_agents{network="prod",state="connected"} 2',
      'weft_control_agents{network="prod",state="away"} 1',
      'weft_control_agents_behind{network="prod"} 1',
      'weft_control_agents_behind_seconds{network="prod"} 30',
      'weft_control_clock_skew_seconds{network="prod"} 4',
      'weft_control_problems{network="prod"} 3',
      'weft_control_exposed{network="prod"} 1',
      'weft_control_exposed_reached{network="prod"} 1',
      // The second does not run it now, and is no instance; the third is away, and nobody is sent there.
      'weft_control_instances{network="prod",state="healthy"} 1',
      'weft_control_instances{network="prod",state="unhealthy"} 1',
      // Each agent has used up its own.
      'weft_control_tokens{network="prod"} 0',
      'weft_control_flows_open{network="prod"} 4',
      'weft_control_traffic_pairs{network="prod"} 1',
      'weft_control_traffic_pairs_omitted{network="prod"} 2',
      'weft_control_flow_records_lost{network="prod"} 9',
      'weft_control_flow_records_kept 12',
      'weft_control_flow_disk_bytes 4096',
      'weft_control_disk_problems{code="data-not-written"} 0',
      'weft_control_disk_problems{code="flows-not-written"} 1',
    ]),
  );
  expect(lines.some((line) => line.startsWith('process_resident_memory_bytes '))).toBe(true);
  expect(lines.some((line) => line.startsWith('weft_control_event_loop_delay_seconds{'))).toBe(true);
});

test('networks beyond a bound are told as one', async () => {
  const sources = await setUp();
  const state = await emptyState();
  for (const network of ['a', 'b', 'c', 'd']) {
    await state.apply(mesh({ network, services: [service('redis', 'private', tcp(6379))] }), { dryRun: false, actor });
  }
  const totals = totalsByNetwork({ ...sources, state }, 2);
  expect([...totals.keys()]).toEqual(['a', 'b', 'other']);
  expect(totals.get('other')).toMatchObject({ services: 2, recordsDropped: 18, revision: state.current.revision });
});

test('a write that failed is counted, and is none that took so long', async () => {
  const library = await loadMetrics();
  const registry = new library.Registry();
  const { wroteData, wroteFlows } = createCounters(library, registry);
  wroteData(3, undefined);
  wroteData(5_000, 'disk is full');
  wroteFlows(undefined);
  wroteFlows('disk is full');
  wroteFlows('disk is full');
  const text = await registry.metrics();
  expect(text).toContain('weft_control_store_write_seconds_count 1\n');
  expect(text).toContain('weft_control_writes_failed_total{what="data"} 1\n');
  expect(text).toContain('weft_control_writes_failed_total{what="flows"} 2\n');
});

test('calls are counted by methods and codes that are known, and no others', async () => {
  const library = await loadMetrics();
  const registry = new library.Registry();
  const { calls } = createCounters(library, registry);
  const of = (path: string, code: status, stream = false): void => calls.ended({ path, code, seconds: 0.03, stream });
  of(adminService.apply.path, status.OK);
  of(adminService.apply.path, status.OK);
  of(adminService.apply.path, status.UNAUTHENTICATED);
  of(agentService.connect.path, status.CANCELLED, true);
  of('/weft.v1.AdminService/MadeUp', status.UNIMPLEMENTED);
  of('/grpc.health.v1.Health/Check', 99 as status);
  const text = await registry.metrics();
  const counted = text.split('\n').filter((line) => line.startsWith('weft_control_rpc_total'));
  expect(counted).toEqual([
    'weft_control_rpc_total{method="AdminService/Apply",code="OK"} 2',
    'weft_control_rpc_total{method="AdminService/Apply",code="UNAUTHENTICATED"} 1',
    'weft_control_rpc_total{method="AgentService/Connect",code="CANCELLED"} 1',
    'weft_control_rpc_total{method="other",code="UNIMPLEMENTED"} 1',
    'weft_control_rpc_total{method="other",code="UNKNOWN"} 1',
  ]);
  expect(text).toContain('weft_control_rpc_seconds_count{method="AdminService/Apply"} 3');
  expect(text).not.toContain('weft_control_rpc_seconds_count{method="AgentService/Connect"}');
});

test('what agents say and how long things take is counted', async () => {
  const library = await loadMetrics();
  const registry = new library.Registry();
  const { streams, wroteData } = createCounters(library, registry);
  streams.message('flows');
  streams.flows({ taken: 5, dropped: 2, refused: 1 });
  streams.telemetryRefused();
  streams.enforced(40);
  wroteData(3, undefined);
  expect((await registry.metrics()).split('\n')).toEqual(
    expect.arrayContaining([
      'weft_control_agent_messages_total{kind="flows"} 1',
      'weft_control_flow_records_total{outcome="taken"} 5',
      'weft_control_flow_records_total{outcome="dropped"} 2',
      'weft_control_flow_records_total{outcome="refused"} 1',
      'weft_control_telemetry_refused_total 1',
      'weft_control_enforce_seconds_bucket{le="0.05"} 1',
      'weft_control_enforce_seconds_bucket{le="0.025"} 0',
      'weft_control_store_write_seconds_bucket{le="0.005"} 1',
      'weft_control_store_write_seconds_bucket{le="0.0025"} 0',
    ]),
  );
});
