/** What threads counted that have ended: a counter must not go back. */
import type { PeerTunnels } from '@weft/proto';
import { SeriesTable } from '../../flows/series.ts';
import type { ThreadMeasures } from '../../observe/measures.ts';
import { mergePeers, type ThreadPulse } from '../../observe/telemetry.ts';
import { type LinkCounters, newCounters, sumOfCounters } from '../../tunnel/context.ts';

export class PastThreads {
  #tunnel: LinkCounters = newCounters();
  #peers: readonly PeerTunnels[] = [];
  #measures: ThreadMeasures | undefined;

  /** Of one that has ended, as it told last. */
  add(tunnel: LinkCounters | undefined, peers: readonly PeerTunnels[], measures: ThreadMeasures | undefined): void {
    if (tunnel !== undefined) this.#tunnel = sumOfCounters(this.#tunnel, { ...tunnel, open: 0 });
    this.#peers = mergePeers([this.#peers, peers.map(gone)]);
    if (measures === undefined) return;
    const nothing = { flows: 0, records: 0, packets: 0, loopDelayUs: 0 };
    const ended = { ...measures, ...nothing, tunnel: { ...measures.tunnel, open: 0 }, peers: measures.peers.map(gone) };
    this.#measures = this.#measures === undefined ? ended : sumOf(this.#measures, ended);
  }

  /** Those that are peers now: what was moved with others is in the sums alone from here on. */
  keep(peers: Iterable<{ readonly host: string }>): void {
    if (this.#peers.length === 0 && this.#measures === undefined) return;
    const hosts = new Set(Array.from(peers, ({ host }) => host));
    const known = ({ host }: PeerTunnels) => hosts.has(host);
    this.#peers = this.#peers.filter(known);
    if (this.#measures !== undefined) this.#measures = { ...this.#measures, peers: this.#measures.peers.filter(known) };
  }

  get tunnel(): LinkCounters {
    return this.#tunnel;
  }

  get peers(): readonly PeerTunnels[] {
    return this.#peers;
  }

  /** As of a thread without flows; none before any has ended. */
  get pulses(): readonly ThreadPulse[] {
    return this.#peers.length === 0 ? [] : [{ peers: this.#peers, loopDelayUs: 0 }];
  }

  /** With those that live, each thread's number once. */
  with(living: readonly ThreadMeasures[]): readonly ThreadMeasures[] {
    const past = this.#measures;
    if (past === undefined) return living;
    const others = living.filter(({ thread }) => thread !== past.thread);
    const same = living.filter(({ thread }) => thread === past.thread);
    return [...others, same.reduce((sum, each) => sumOf(sum, each), past)];
  }
}

function gone(peer: PeerTunnels): PeerTunnels {
  return { ...peer, tunnels: 0, roundTripUs: 0, pathSize: 0 };
}

function sumOf(past: ThreadMeasures, next: ThreadMeasures): ThreadMeasures {
  const table = new SeriesTable();
  for (const series of [...past.series, ...next.series]) table.add(series);
  const sent = past.batched.sent + next.batched.sent;
  const received = past.batched.received + next.batched.received;
  const joined = past.batched.joined + next.batched.joined;
  const unparted = past.batched.unparted + next.batched.unparted;
  return {
    ...next,
    series: table.all.map((series) => series.copy()),
    peers: mergePeers([past.peers, next.peers]),
    tunnel: sumOfCounters(past.tunnel, next.tunnel),
    datagramsDropped: past.datagramsDropped + next.datagramsDropped,
    batched: { sent, received, joined, unparted },
    callersRefused: past.callersRefused + next.callersRefused,
  };
}
