/** What moves now, of all threads of this agent, for control. */
import { defined, type PairTraffic, type PeerTunnels, type Telemetry, WIRE_LIMITS } from '@weft/proto';
import { isOther } from '../flows/pairs.ts';
import type { NamesOfNow } from '../flows/recorder.ts';
import { type FlowTraffic, laterDenied } from '../flows/traffic.ts';

/** What one thread adds, beside its flows. */
export interface ThreadPulse {
  readonly peers: readonly PeerTunnels[];
  /** How late its loop ran of late, 99th percentile. */
  readonly loopDelayUs: number;
}

export interface TelemetrySettings {
  /** From one to the next, milliseconds; a tenth of it to either side by chance, so that agents that began together part. */
  readonly everyMs: number;
}

export const TELEMETRY_SETTINGS: TelemetrySettings = { everyMs: 5_000 };

export interface TelemetryParts {
  readonly traffic: FlowTraffic;
  readonly names: NamesOfNow;
  /** Name of this agent's host. */
  readonly host: () => string;
  /** Flow records that control does not have yet. */
  readonly queued: () => number;
  /** Flow records lost since the start. */
  readonly lost: () => number;
  /** Of all threads, as of now; their flows are in the traffic when it resolves. */
  readonly pulses: () => Promise<readonly ThreadPulse[]>;
  readonly settings: TelemetrySettings;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

const LONGEST_MS = 0xffffffff;

export class AgentTelemetry {
  readonly #parts: TelemetryParts;
  /** By a clock that is not set back. */
  #since = performance.now();

  constructor(parts: TelemetryParts) {
    this.#parts = parts;
  }

  async take(): Promise<Telemetry> {
    const { traffic, names, host, queued, lost, pulses, now } = this.#parts;
    const threads = await pulses();
    const { pairs, omitted } = traffic.take(WIRE_LIMITS.trafficPairs);
    const until = performance.now();
    const intervalMs = Math.min(LONGEST_MS, Math.max(1, Math.round(until - this.#since)));
    this.#since = until;
    return {
      sentMs: now(),
      intervalMs,
      // Control takes from an agent what touches its host; and of what is left over, this agent's share should be seen.
      pairs: byNamesOfNow(pairs, names).map((pair) => (isOther(pair, '') ? { ...pair, sourceHost: host() } : pair)),
      pairsOmitted: omitted,
      peers: mergePeers(threads.map(({ peers }) => peers)).slice(0, WIRE_LIMITS.peerTunnels),
      loopDelayUs: Math.max(0, ...threads.map(({ loopDelayUs }) => loopDelayUs)),
      flowsQueued: queued(),
      recordsLost: lost(),
    };
  }

  giveBack({ pairs, intervalMs }: Telemetry): void {
    const { traffic, host } = this.#parts;
    traffic.giveBack(pairs.map((pair) => (isOther(pair, host()) ? { ...pair, sourceHost: '' } : pair)));
    this.#since -= intervalMs;
  }

  pauseMs(): number {
    const { settings, random } = this.#parts;
    return settings.everyMs * (0.9 + random() / 5);
  }
}

/** Pairs by two names of one host are one. */
function byNamesOfNow(pairs: readonly PairTraffic[], names: NamesOfNow): readonly PairTraffic[] {
  if (!names.wasRenamed) return pairs;
  const merged = new Map<string, PairTraffic>();
  for (const pair of pairs.map((each) => names.byNamesOfNow(each))) {
    const key = [pair.source, pair.sourceHost, pair.service, pair.destinationHost].join(' ');
    const known = merged.get(key);
    merged.set(key, known === undefined ? pair : bothOf(known, pair));
  }
  return [...merged.values()];
}

function bothOf(one: PairTraffic, other: PairTraffic): PairTraffic {
  const lastDenied = laterDenied(one.lastDenied, other.lastDenied);
  return {
    ...one,
    open: one.open + other.open,
    opened: one.opened + other.opened,
    denied: one.denied + other.denied,
    failed: one.failed + other.failed,
    bytesSent: one.bytesSent + other.bytesSent,
    bytesReceived: one.bytesReceived + other.bytesReceived,
    ...defined({ lastDenied }),
  };
}

/** Each peer once, those with the most tunnels first. */
export function mergePeers(threads: readonly (readonly PeerTunnels[])[]): readonly PeerTunnels[] {
  const merged = new Map<string, PeerTunnels>();
  for (const peer of threads.flat()) {
    const known = merged.get(peer.host);
    merged.set(peer.host, known === undefined ? peer : sumOf(known, peer));
  }
  return [...merged.values()].sort((left, right) => right.tunnels - left.tunnels);
}

function sumOf(left: PeerTunnels, right: PeerTunnels): PeerTunnels {
  const measured = [left.roundTripUs, right.roundTripUs].filter((roundTripUs) => roundTripUs > 0);
  return {
    host: left.host,
    tunnels: left.tunnels + right.tunnels,
    roundTripUs: measured.length === 0 ? 0 : Math.min(...measured),
    bytesSent: left.bytesSent + right.bytesSent,
    bytesReceived: left.bytesReceived + right.bytesReceived,
    pathSize: leastPath(left.pathSize, right.pathSize),
  };
}

/** Where one thread has no proof yet, what another has is known of the path. */
function leastPath(left: number, right: number): number {
  return left === 0 || right === 0 ? Math.max(left, right) : Math.min(left, right);
}
