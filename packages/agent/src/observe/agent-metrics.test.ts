import { describe, expect, it } from 'vitest';
import { createCounters } from '../dns/types.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { newCounters } from '../tunnel/context.ts';
import { type AgentMeasures, AgentMetrics } from './agent-metrics.ts';
import type { ThreadMeasures } from './measures.ts';

const DENIED = { port: 6379, protocol: 'tcp', rule: 'no-web', revision: 4 } as const;

function thread(traffic: FlowTraffic, overrides: Partial<ThreadMeasures> = {}): ThreadMeasures {
  return {
    thread: 0,
    series: traffic.series().map((series) => series.copy()),
    peers: [],
    tunnel: newCounters(),
    flows: 0,
    datagramsDropped: 0,
    batched: { sent: 2, received: 3, joined: 5, unparted: 7 },
    callersRefused: 0,
    records: 0,
    packets: 0,
    loopDelayUs: 0,
    ...overrides,
  };
}

function measures(...threads: readonly ThreadMeasures[]): AgentMeasures {
  return {
    threads,
    dns: { ...createCounters(), internal: 5, missing: 2, relayed: 1, forwardFailed: 1, overloaded: 1, failed: 4 },
    problems: [{ code: 'port-taken', subject: 'a "b"\n', message: '' }],
    revision: 7,
    revisionSeconds: 60,
    staleSeconds: 0,
    records: { recorded: 10, dropped: 3 },
    version: '0.1.0',
    network: 'prod',
    host: 'near',
  };
}

/** Every sample by name and labels. Fails on a line that is none, or a family without its type. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.trimEnd().split('\n')) {
    const [, family, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (family !== undefined && type !== undefined) types.set(family, type);
    if (line.startsWith('#')) continue;
    const [, name = '', labels = '', value = ''] =
      /^([a-z_]+)((?:\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})?) (\S+)$/.exec(line) ?? [];
    expect({ line, family: types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')) }).toEqual({
      line,
      family: true,
    });
    expect(samples.has(name + labels)).toBe(false);
    expect(Number.isFinite(Number(value))).toBe(true);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

function flows(traffic: FlowTraffic, source: string, setupMs = 2): void {
  const names = { source, sourceHost: 'near', service: 'redis', destinationHost: 'far' };
  traffic.began(names, 'source', false, setupMs);
  traffic.stillborn(names, 'source', true, 'denied', DENIED);
  traffic.stillborn(names, 'source', true, 'unreachable', DENIED);
}

describe('the text', () => {
  it('adds up all threads, and can be read', () => {
    const [first, second] = [new FlowTraffic({ metrics: true }), new FlowTraffic({ metrics: true })];
    flows(first, 'web');
    flows(second, 'web', 700);
    flows(second, 'host:"odd\\name"');
    const peer = { host: 'far', tunnels: 1, roundTripUs: 250, bytesSent: 10, bytesReceived: 20, pathSize: 0 };
    const samples = parse(
      new AgentMetrics().text(
        measures(
          thread(first, { peers: [peer], loopDelayUs: 1_500 }),
          thread(second, { thread: 2, peers: [peer], packets: 4 }),
        ),
      ),
    );
    const web = 'source="web",service="redis",reporter="source"';
    expect(Object.fromEntries(samples)).toMatchObject({
      [`weft_agent_flows_opened_total{${web}}`]: 4,
      [`weft_agent_flows_denied_total{${web}}`]: 2,
      [`weft_agent_flows_failed_total{${web},outcome="unreachable"}`]: 2,
      [`weft_agent_flows_open{${web}}`]: 2,
      [`weft_agent_flow_setup_seconds_bucket{${web},le="0.0025"}`]: 1,
      [`weft_agent_flow_setup_seconds_bucket{${web},le="1"}`]: 2,
      [`weft_agent_flow_setup_seconds_bucket{${web},le="+Inf"}`]: 2,
      [`weft_agent_flow_setup_seconds_count{${web}}`]: 2,
      'weft_agent_flows_open{source="host:\\"odd\\\\name\\"",service="redis",reporter="source"}': 1,
      'weft_agent_peer_tunnels{peer="far"}': 2,
      'weft_agent_peer_round_trip_seconds{peer="far"}': 0.000_25,
      'weft_agent_dns_queries_total{result="answered"}': 3,
      'weft_agent_dns_queries_total{result="nxdomain"}': 2,
      'weft_agent_dns_queries_total{result="failed"}': 6,
      'weft_agent_datagrams_batched_total{direction="received"}': 6,
      weft_agent_datagrams_joined_total: 10,
      'weft_agent_datagrams_dropped_total{where="joined"}': 14,
      weft_agent_connected: 1,
      weft_agent_policy_revision: 7,
      weft_agent_records_lost_total: 3,
      'weft_agent_packets_queued{thread="2"}': 4,
      'weft_agent_thread_loop_delay_seconds{thread="0"}': 0.001_5,
      'weft_agent_problems{code="port-taken"}': 1,
    });
  });

  it('has labels for so many pairs and no more, the same ones each time, and counts the rest', () => {
    const [first, second] = [new FlowTraffic({ metrics: true }), new FlowTraffic({ metrics: true })];
    for (let index = 0; index < 400; index++) flows(first, `host:a${index}`);
    for (let index = 0; index < 400; index++) flows(second, `host:b${index}`);
    const metrics = new AgentMetrics();
    const opened = () => {
      const samples = parse(metrics.text(measures(thread(first), thread(second, { thread: 1 }))));
      return [...samples].filter(([name]) => name.startsWith('weft_agent_flows_opened_total'));
    };
    const before = opened();
    expect(before).toHaveLength(501);
    expect(before.reduce((sum, [, value]) => sum + value, 0)).toBe(1_600);
    // A pair that the main thread meets later takes no name from those that have one.
    flows(first, 'host:late');
    const after = opened();
    const named = (samples: typeof before) => samples.map(([name]) => name).sort();
    expect(named(after)).toEqual(named(before));
    expect(after.reduce((sum, [, value]) => sum + value, 0)).toBe(1_602);
  });

  it('has labels for so many peers, and the rest never go back whichever is busiest', () => {
    const peers = Array.from({ length: 600 }, (_, index) => ({
      ...{ host: `h${index}`, tunnels: index < 500 ? 2 : 1, bytesSent: index, bytesReceived: 0 },
      ...{ roundTripUs: 0, pathSize: 0 },
    }));
    const metrics = new AgentMetrics();
    const look = (seen: typeof peers) =>
      parse(metrics.text(measures(thread(new FlowTraffic(), { peers: seen })))).get(
        'weft_agent_peer_bytes_total{peer="other",direction="sent"}',
      );
    const before = look(peers);
    expect(before).toBe(54_950);
    expect(look(peers.map((peer, index) => (index === 599 ? { ...peer, tunnels: 3 } : peer)))).toBe(before);
  });

  it('a thread alone holds no more pairs either', () => {
    const traffic = new FlowTraffic({ metrics: true });
    for (let index = 0; index < 700; index++) flows(traffic, `host:h${index}`);
    expect(traffic.series()).toHaveLength(501);
    expect(traffic.series().at(-1)).toMatchObject({ source: 'other', opened: 400 });
  });
});
