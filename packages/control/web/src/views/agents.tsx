import { useMemo } from 'preact/hooks';
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Choice, Field } from '../parts/field.tsx';
import { FoundCount } from '../parts/found-count.tsx';
import { Empty } from '../parts/notice.tsx';
import { late, skewed } from '../state/attention.ts';
import { byteRate, duration, number, printable } from '../state/format.ts';
import { useApp } from '../state/use.ts';
import { AgentDetail } from './agent-detail.tsx';
import { ConnectedBadge, Enforced, LastSeen, LoopDelay, Skew } from './agent-parts.tsx';

function moved(agent: AgentView): number {
  return agent.tunnels.reduce((sum, tunnel) => sum + tunnel.sentPerSecond + tunnel.receivedPerSecond, 0);
}

/** The middle one of those measured. */
function roundTrip(agent: AgentView): number | undefined {
  const measured = agent.tunnels.map(({ roundTripMs }) => roundTripMs).filter((ms) => ms > 0);
  return measured.sort((left, right) => left - right)[Math.floor(measured.length / 2)];
}

/** The version that most run: another stands out. */
function columnsFor(usual: string): readonly Column<AgentView>[] {
  return [
    { key: 'host', label: 'Host', cell: ({ host }) => host, sort: ({ host }) => host },
    {
      key: 'connected',
      label: 'State',
      cell: (agent) => <ConnectedBadge agent={agent} />,
      sort: ({ connected }) => (connected ? 1 : 0),
    },
    {
      key: 'version',
      label: 'Version',
      cell: ({ version }) =>
        version === usual || version === '' ? (
          printable(version) || '–'
        ) : (
          <Badge tone="warn">
            {printable(version)}, not {printable(usual)}
          </Badge>
        ),
      sort: ({ version }) => version,
    },
    {
      key: 'revision',
      label: 'Revision',
      cell: (agent) => <Enforced agent={agent} />,
      sort: ({ enforcedRevision }) => enforcedRevision,
    },
    {
      key: 'tunnels',
      label: 'Tunnels',
      numeric: true,
      cell: ({ tunnels, tunnelsOmitted = 0 }) => number(tunnels.length + tunnelsOmitted),
      sort: ({ tunnels }) => -tunnels.length,
    },
    {
      key: 'rtt',
      label: 'Round trip',
      numeric: true,
      cell: (agent) => told(roundTrip(agent), duration),
      sort: (agent) => -(roundTrip(agent) ?? -1),
    },
    {
      key: 'bytes',
      label: 'Bytes',
      numeric: true,
      cell: (agent) => byteRate(moved(agent)),
      sort: (agent) => -moved(agent),
    },
    {
      key: 'skew',
      label: 'Clock',
      numeric: true,
      cell: (agent) => <Skew agent={agent} none="–" />,
      sort: ({ clockSkewMs }) => -Math.abs(clockSkewMs ?? 0),
    },
    {
      key: 'loop',
      label: 'Loop delay',
      numeric: true,
      cell: (agent) => <LoopDelay agent={agent} none="–" />,
      sort: ({ loopDelayMs }) => -(loopDelayMs ?? 0),
    },
    {
      key: 'seen',
      label: 'Last seen',
      cell: (agent) => <LastSeen agent={agent} />,
      sort: ({ lastSeenMs }) => lastSeenMs,
    },
  ];
}

function told(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '–' : format(value);
}

const STATES: Readonly<Record<string, (agent: AgentView) => boolean>> = {
  connected: ({ connected }) => connected,
  disconnected: ({ connected }) => !connected,
  behind: ({ connected, behindSinceMs }) => connected && behindSinceMs > 0,
  problems: ({ problems }) => problems.length > 0,
  skewed,
  late,
};

export function AgentsView() {
  const app = useApp();
  const { name, query } = app.route.value;
  const all = [...app.live.agents.value.values()];
  const usual = usualVersion(all);
  // The same columns while the usual version is the same, so that rows need not be drawn again.
  const columns = useMemo(() => columnsFor(usual), [usual]);
  if (name !== '') return <AgentDetail host={name} />;
  const inState = STATES[query.state ?? ''];
  const wanted = (query.text ?? '').trim().toLowerCase();
  const found = all.filter(
    (agent) => (inState === undefined || inState(agent)) && (wanted === '' || words(agent).includes(wanted)),
  );
  const set = (field: string, value: string): void => app.replace('agents', '', { ...query, [field]: value });
  return (
    <>
      <h1>Agents</h1>
      <search class="filters">
        <Field
          label="Search"
          type="search"
          search
          value={query.text ?? ''}
          placeholder="host, service, tag, version"
          onValue={(value) => set('text', value)}
        />
        <Choice
          label="State"
          value={query.state ?? ''}
          onValue={(value) => set('state', value)}
          options={[
            ['', 'All'],
            ['connected', 'connected'],
            ['disconnected', 'disconnected'],
            ['behind', 'behind the newest revision'],
            ['problems', 'with problems'],
            ['skewed', 'clock off'],
            ['late', 'overloaded'],
          ]}
        />
        <FoundCount found={found.length} all={all.length} word="agent" />
      </search>
      {found.length === 0 ? (
        <Empty title="No agent is like that.">
          <p>
            <a href={app.link('agents')}>Show all agents</a>
          </p>
        </Empty>
      ) : (
        <DataTable
          caption="Agents"
          columns={columns}
          rows={found}
          rowKey={(agent) => agent.host}
          href={(agent) => app.link('agents', agent.host)}
          tone={toneOf}
        />
      )}
    </>
  );
}

function toneOf(agent: AgentView): string {
  if (!agent.connected) return 'bad';
  return agent.behindSinceMs > 0 || skewed(agent) || late(agent) ? 'warn' : '';
}

function usualVersion(agents: readonly AgentView[]): string {
  const counts = new Map<string, number>();
  for (const { version } of agents) if (version !== '') counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts].sort(([, left], [, right]) => right - left)[0]?.[0] ?? '';
}

function words({ host, version, services, tags, address }: AgentView): string {
  return [host, version, address, ...services, ...tags].join(' ').toLowerCase();
}
