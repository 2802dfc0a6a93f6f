/** What control is asked for when it is scraped. */
import type { Gauge, Registry } from '@weft/proto/observe';
import type { KeptFlows } from '../flows/types.ts';
import { DISK_PROBLEMS, type DiskProblem } from '../store/disk-watch.ts';
import type { MetricsLibrary } from './counters.ts';
import { type NetworkSources, type NetworkTotals, totalsByNetwork } from './network-totals.ts';

export interface GaugeSources extends NetworkSources {
  readonly flows: { dropped(network: string): number; readonly kept: KeptFlows };
  readonly disk: { readonly problems: readonly DiskProblem[] };
  readonly version: string;
}

interface NetworkGauge {
  readonly name: string;
  readonly help: string;
  /** A second label, and one value for each value of it; without, one value. */
  readonly label?: string;
  readonly read: (totals: NetworkTotals) => number | Readonly<Record<string, number>>;
}

const NETWORK_GAUGES: readonly NetworkGauge[] = [
  { name: 'revision', help: 'Newest revision.', read: ({ revision }) => revision },
  { name: 'services', help: 'Services declared.', read: ({ services }) => services },
  {
    name: 'agents',
    help: 'Members, by whether they are connected.',
    label: 'state',
    read: ({ connected, away }) => ({ connected, away }),
  },
  {
    name: 'agents_behind',
    help: 'Connected agents that do not enforce the newest revision yet.',
    read: ({ behind }) => behind,
  },
  {
    name: 'agents_behind_seconds',
    help: 'For how long the connected agent that is furthest behind has been so.',
    read: ({ behindSeconds }) => behindSeconds,
  },
  {
    name: 'clock_skew_seconds',
    help: "How far the clock of a connected agent is off control's, of the one that is furthest off.",
    read: ({ skewSeconds }) => skewSeconds,
  },
  { name: 'problems', help: 'Problems that connected agents report.', read: ({ problems }) => problems },
  {
    name: 'exposed',
    help: 'Services whose program on a connected agent is reached past Weft.',
    read: ({ exposed }) => exposed,
  },
  {
    name: 'exposed_reached',
    help: 'Services whose program on a connected agent other hosts have reached past Weft.',
    read: ({ reached }) => reached,
  },
  {
    name: 'instances',
    help: 'Instances of services, by whether calls go to them.',
    label: 'state',
    read: ({ healthy, unhealthy }) => ({ healthy, unhealthy }),
  },
  { name: 'tokens', help: 'Join tokens that can be used now.', read: ({ tokens }) => tokens },
  { name: 'flows_open', help: 'Flows open, by telemetry.', read: ({ flowsOpen }) => flowsOpen },
  { name: 'traffic_pairs', help: 'Pairs of caller and service that move or were denied.', read: ({ pairs }) => pairs },
  {
    name: 'traffic_pairs_omitted',
    help: 'Pairs left out for want of room, by agents and by control.',
    read: ({ pairsOmitted }) => pairsOmitted,
  },
  {
    name: 'flow_records_lost',
    help: 'Flow records lost between agents and the window since control started.',
    read: ({ recordsDropped }) => recordsDropped,
  },
];

/** Gives back what sets them, to be called before the registry is read. */
export function registerGauges(library: MetricsLibrary, registry: Registry, sources: GaugeSources): () => void {
  const registers = [registry];
  const plain = (name: string, help: string): Gauge =>
    new library.Gauge({ name: `weft_control_${name}`, help, registers });
  const info = new library.Gauge({
    name: 'weft_control_build_info',
    help: 'The version that runs; always 1.',
    labelNames: ['version', 'node'],
    registers,
  });
  info.set({ version: sources.version, node: process.versions.node }, 1);
  const networks = plain('networks', 'Networks.');
  const records = plain('flow_records_kept', 'Flow records kept, of all networks.');
  const bytes = plain('flow_disk_bytes', 'Disk that flow records take.');
  const oldest = plain(
    'flow_oldest_seconds',
    'When the oldest record that is kept came, in seconds since the Unix epoch.',
  );
  const refused = new library.Gauge({
    name: 'weft_control_disk_problems',
    help: 'Whether control cannot write its data, or records of flows, just now.',
    labelNames: ['code'],
    registers,
  });
  const byNetwork = NETWORK_GAUGES.map(({ name, help, label, read }) => ({
    gauge: new library.Gauge({
      name: `weft_control_${name}`,
      help,
      labelNames: label === undefined ? ['network'] : ['network', label],
      registers,
    }),
    label,
    read,
  }));
  return () => {
    networks.set(sources.state.current.networks.size);
    const { kept } = sources.flows;
    records.set(kept.records);
    bytes.set(kept.diskBytes);
    oldest.set(kept.oldestMs / 1_000);
    const standing = new Set(sources.disk.problems.map(({ code }) => code));
    for (const code of DISK_PROBLEMS) refused.set({ code }, standing.has(code) ? 1 : 0);
    // A network that is gone must not be told for ever.
    for (const { gauge } of byNetwork) gauge.reset();
    for (const [network, totals] of totalsByNetwork(sources)) {
      for (const { gauge, label, read } of byNetwork) {
        const value = read(totals);
        if (typeof value === 'number') gauge.set({ network }, value);
        else for (const [key, count] of Object.entries(value)) gauge.set({ network, [label ?? '']: key }, count);
      }
    }
  };
}
