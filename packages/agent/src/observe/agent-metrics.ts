/** What an agent tells Prometheus. */
import type { Problem } from '@weft/proto';
import type { DnsCounters } from '../dns/types.ts';
import { Histogram } from '../flows/histogram.ts';
import { DURATION_SECONDS, PairNames, SETUP_SECONDS, type Series, SeriesTable } from '../flows/series.ts';
import type { LinkCounters } from '../tunnel/context.ts';
import { Exposition, type Labels } from './exposition.ts';
import type { ThreadMeasures } from './measures.ts';
import { PeerTable } from './peer-table.ts';
import { mergePeers } from './telemetry.ts';

/** What stands at the moment of a scrape. */
export interface AgentMeasures {
  /** By thread, the main one first. */
  readonly threads: readonly ThreadMeasures[];
  readonly dns: DnsCounters;
  readonly problems: readonly Problem[];
  /** Revision that is enforced, and for how long, seconds. */
  readonly revision: number;
  readonly revisionSeconds: number;
  /** Since when control is not heard, seconds; 0 while it is. */
  readonly staleSeconds: number;
  readonly records: { readonly recorded: number; readonly dropped: number };
  readonly version: string;
  readonly network: string;
  readonly host: string;
}

const DNS_SECONDS: readonly number[] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

export class AgentMetrics {
  /** For the DNS server to count in. */
  readonly dnsLatency = { internal: new Histogram(DNS_SECONDS), forwarded: new Histogram(DNS_SECONDS) };
  /** Of all threads, for each may have met other pairs first. */
  readonly #names = new PairNames();
  readonly #peers = new PeerTable();

  text(measures: AgentMeasures): string {
    const out = new Exposition();
    const { version, network, host, problems } = measures;
    out.gauge('weft_agent_build_info', 'The version that runs, and where; always 1.', [
      [{ version, node: process.versions.node, network, host }, 1],
    ]);
    this.#flows(out, measures);
    tunnels(out, measures);
    this.#tunnelsByPeer(out, measures);
    this.#resolving(out, measures);
    control(out, measures);
    queues(out, measures);
    const codes = Map.groupBy(problems, ({ code }) => code);
    const standing = [...codes].map(([code, { length }]) => [{ code }, length] as const);
    out.gauge('weft_agent_problems', 'Problems that stand now, by code.', standing);
    return out.text;
  }

  #flows(out: Exposition, { threads }: AgentMeasures): void {
    const table = new SeriesTable(this.#names);
    for (const { series } of threads) for (const each of series) table.add(each);
    const of = <Name extends keyof Series>(name: Name) => table.all.map((each) => [labels(each), each[name]] as const);
    const byOutcome = table.all.flatMap((series) =>
      Object.entries(series.failed).map(([outcome, count]) => [{ ...labels(series), outcome }, count] as const),
    );
    const bytes = table.all.flatMap((series) => [
      [{ ...labels(series), direction: 'sent' }, series.bytesSent] as const,
      [{ ...labels(series), direction: 'received' }, series.bytesReceived] as const,
    ]);
    out.counter(
      'weft_agent_flows_opened_total',
      'Flows that were permitted, those that failed among them.',
      of('opened'),
    );
    out.counter('weft_agent_flows_denied_total', 'Flows that were denied.', of('denied'));
    out.counter('weft_agent_flows_failed_total', 'Flows that were permitted and failed, by how.', byOutcome);
    out.gauge('weft_agent_flows_open', 'Flows that are open now.', of('open'));
    out.counter(
      'weft_agent_flow_bytes_total',
      'Payload, sent from the caller to the service and received by the caller.',
      bytes,
    );
    out.histogram(
      'weft_agent_flow_setup_seconds',
      'From a call to the answer of the program.',
      SETUP_SECONDS,
      of('setup'),
    );
    out.histogram(
      'weft_agent_flow_duration_seconds',
      'From the opening of a flow to its end.',
      DURATION_SECONDS,
      of('duration'),
    );
  }

  #tunnelsByPeer(out: Exposition, { threads }: AgentMeasures): void {
    const { named, others } = this.#peers.look(mergePeers(threads.map((thread) => thread.peers)));
    const of = (name: 'tunnels' | 'bytesSent' | 'bytesReceived') => [
      ...named.map((peer) => [{ peer: peer.host }, peer[name]] as const),
      ...(others === undefined ? [] : [[{ peer: 'other' }, others[name]] as const]),
    ];
    out.gauge('weft_agent_peer_tunnels', 'Tunnels to a peer that are open now.', of('tunnels'));
    const measured = named.filter(({ roundTripUs }) => roundTripUs > 0);
    const trips = measured.map(({ host, roundTripUs }) => [{ peer: host }, roundTripUs / 1e6] as const);
    out.gauge('weft_agent_peer_round_trip_seconds', 'Shortest round trip of the last minute to a peer.', trips);
    const paths = named
      .filter(({ pathSize }) => pathSize > 0)
      .map(({ host, pathSize }) => [{ peer: host }, pathSize] as const);
    out.gauge('weft_agent_peer_path_bytes', 'UDP payload that the path to a peer has shown to carry.', paths);
    const both = [
      ...of('bytesSent').map(([peer, value]) => [{ ...peer, direction: 'sent' }, value] as const),
      ...of('bytesReceived').map(([peer, value]) => [{ ...peer, direction: 'received' }, value] as const),
    ];
    out.counter('weft_agent_peer_bytes_total', 'Sealed bytes to and from a peer.', both);
  }

  #resolving(out: Exposition, { dns }: AgentMeasures): void {
    out.counter('weft_agent_dns_queries_total', 'Questions about names, by what was answered.', [
      [{ result: 'answered' }, dns.internal - dns.missing],
      [{ result: 'nxdomain' }, dns.missing],
      [{ result: 'forwarded' }, dns.relayed],
      [{ result: 'failed' }, dns.forwardFailed + dns.overloaded + dns.failed],
      [{ result: 'rejected' }, dns.rejected],
    ]);
    out.counter('weft_agent_dns_addresses_dropped_total', "Addresses of this host in resolvers' answers, taken out.", [
      [{}, dns.addressesDropped],
    ]);
    out.histogram('weft_agent_dns_seconds', 'From a question to its answer.', DNS_SECONDS, [
      [{ zone: 'internal' }, this.dnsLatency.internal],
      [{ zone: 'forwarded' }, this.dnsLatency.forwarded],
    ]);
  }
}

function labels({ source, service, reporter }: Series): Labels {
  return { source, service, reporter };
}

function tunnels(out: Exposition, { threads }: AgentMeasures): void {
  const sum = (name: keyof LinkCounters) => total(threads, ({ tunnel }) => tunnel[name]);
  out.gauge('weft_agent_tunnels_open', 'Tunnels to peers that are open now.', sum('open'));
  out.counter(
    'weft_agent_tunnel_handshakes_failed_total',
    'Handshakes that failed or took too long.',
    sum('handshakesFailed'),
  );
  out.counter(
    'weft_agent_tunnel_violations_total',
    'Connections closed because the peer broke the protocol.',
    sum('violations'),
  );
  out.counter('weft_agent_tunnel_renewals_total', 'Handshakes finished inside tunnels.', sum('renewals'));
  out.counter(
    'weft_agent_datagrams_dropped_total',
    'Datagrams that were dropped, between agents and from programs of this host, and messages of several whose ends could not be told.',
    [
      [{ where: 'tunnel' }, sum('datagramsDropped')],
      [{ where: 'local' }, total(threads, ({ datagramsDropped }) => datagramsDropped)],
      [{ where: 'joined' }, total(threads, ({ batched }) => batched.unparted)],
    ],
  );
  out.counter(
    'weft_agent_datagrams_batched_total',
    'Datagrams that went or came beside others in one call of the system; 0 where Node has no node:ffi.',
    (['sent', 'received'] as const).map((direction) => [
      { direction },
      threads.reduce((sum, { batched }) => sum + batched[direction], 0),
    ]),
  );
  out.counter(
    'weft_agent_datagrams_joined_total',
    'Datagrams that the system handed over joined to others, in one message; 0 where Node has no node:ffi.',
    [[{}, total(threads, ({ batched }) => batched.joined)]],
  );
  out.counter(
    'weft_agent_callers_refused_total',
    "Connections and datagrams to services' addresses that came from other hosts.",
    total(threads, ({ callersRefused }) => callersRefused),
  );
}

function control(out: Exposition, { revision, revisionSeconds, staleSeconds }: AgentMeasures): void {
  out.gauge('weft_agent_connected', 'Whether control is heard, 1 or 0.', staleSeconds === 0 ? 1 : 0);
  out.gauge('weft_agent_control_stale_seconds', 'Since when control is not heard; 0 while it is.', staleSeconds);
  out.gauge('weft_agent_policy_revision', 'Revision of the policy that is enforced.', revision);
  out.gauge('weft_agent_policy_revision_age_seconds', 'For how long this revision has been enforced.', revisionSeconds);
}

function queues(out: Exposition, { threads, records }: AgentMeasures): void {
  out.counter('weft_agent_records_total', 'Flows that ended and were recorded here.', records.recorded);
  out.counter(
    'weft_agent_records_lost_total',
    'Records lost because control did not take them in time.',
    records.dropped,
  );
  const byThread = (name: 'records' | 'packets' | 'flows' | 'loopDelayUs') =>
    threads.map((each) => [{ thread: String(each.thread) }, each[name]] as const);
  const delays = byThread('loopDelayUs').map(([thread, delayUs]) => [thread, delayUs / 1e6] as const);
  out.gauge('weft_agent_records_queued', 'Records that control does not have yet.', byThread('records'));
  const packets = 'Packets of tunnels on their way to a thread from others.';
  out.gauge('weft_agent_packets_queued', packets, byThread('packets'));
  out.gauge('weft_agent_thread_flows', 'Flows that a thread carries, those that open among them.', byThread('flows'));
  const lateness = "How late a thread's loop ran since the last scrape, 99th percentile.";
  out.gauge('weft_agent_thread_loop_delay_seconds', lateness, delays);
}

function total<Value>(values: readonly Value[], number: (value: Value) => number): number {
  return values.reduce((sum, value) => sum + number(value), 0);
}
