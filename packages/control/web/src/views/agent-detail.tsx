/** One agent: its tunnels, what it runs, how it does; and for admins, its end. */
import { useSignal } from '@preact/signals';
import type { AgentView } from '../../../src/dashboard/api.ts';
import { Badge } from '../parts/badge.tsx';
import { CopyButton } from '../parts/copy.tsx';
import { type Column, DataTable } from '../parts/data-table.tsx';
import { Empty } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { byteRate, bytes, duration, number, printable } from '../state/format.ts';
import { useApp } from '../state/use.ts';
import { ConnectedBadge, Enforced, LastSeen, LoopDelay, RecordsLost, Skew } from './agent-parts.tsx';
import { Problems } from './problems.tsx';
import { RevokeAgent } from './revoke-agent.tsx';
import { shortList } from './short-list.ts';

type Tunnel = AgentView['tunnels'][number];

const COLUMNS: readonly Column<Tunnel>[] = [
  { key: 'host', label: 'Peer', cell: ({ host }) => host, sort: ({ host }) => host },
  {
    key: 'rtt',
    label: 'Round trip',
    numeric: true,
    cell: ({ roundTripMs }) => (roundTripMs === 0 ? 'not measured yet' : duration(roundTripMs)),
    sort: ({ roundTripMs }) => -roundTripMs,
  },
  {
    key: 'rate-out',
    label: 'Out now',
    numeric: true,
    cell: ({ sentPerSecond }) => byteRate(sentPerSecond),
    sort: ({ sentPerSecond }) => -sentPerSecond,
  },
  {
    key: 'rate-in',
    label: 'In now',
    numeric: true,
    cell: ({ receivedPerSecond }) => byteRate(receivedPerSecond),
    sort: ({ receivedPerSecond }) => -receivedPerSecond,
  },
  {
    key: 'out',
    label: 'Out',
    numeric: true,
    cell: ({ bytesSent }) => bytes(bytesSent),
    sort: ({ bytesSent }) => -bytesSent,
  },
  {
    key: 'in',
    label: 'In',
    numeric: true,
    cell: ({ bytesReceived }) => bytes(bytesReceived),
    sort: ({ bytesReceived }) => -bytesReceived,
  },
  {
    key: 'datagrams',
    label: 'Datagrams',
    cell: ({ pathSize }) => (pathSize > 0 ? `by UDP, ${pathSize} B a packet` : 'inside the tunnel'),
    sort: ({ pathSize }) => -pathSize,
  },
];

type SandboxRow = NonNullable<AgentView['sandboxes']>[number];

const SANDBOX_COLUMNS: readonly Column<SandboxRow>[] = [
  { key: 'service', label: 'Service', cell: ({ service }) => service, sort: ({ service }) => service },
  { key: 'ports', label: 'Serves', cell: ({ ports }) => (ports.length === 0 ? 'nothing' : shortList(ports)) },
  { key: 'user', label: 'User', cell: ({ user }) => printable(user), sort: ({ user }) => user },
  { key: 'unit', label: 'Unit', cell: ({ unit }) => printable(unit) || '–', sort: ({ unit }) => unit },
  // Its number is known where its container's processes have the agent's numbers.
  { key: 'pid', label: 'Process', numeric: true, cell: ({ pid }) => pid || '–', sort: ({ pid }) => pid },
  { key: 'since', label: 'Since', cell: ({ sinceMs }) => <Ago atMs={sinceMs} />, sort: ({ sinceMs }) => -sinceMs },
  { key: 'egress', label: 'Out of the mesh', cell: ({ egress }) => (egress ? 'may go' : 'nothing') },
];

export function AgentDetail({ host }: { readonly host: string }) {
  const app = useApp();
  const agent = app.live.agents.value.get(host);
  return (
    <>
      <nav class="crumbs" aria-label="Path">
        <a href={app.link('agents')}>Agents</a>
        <span aria-hidden="true"> / </span>
        <span aria-current="page">{host}</span>
      </nav>
      <h1>{host}</h1>
      {agent === undefined ? (
        <Empty title={app.live.connection.value === 'connecting' ? 'Asking control…' : `No agent runs on ${host}.`} />
      ) : (
        <Detail agent={agent} />
      )}
    </>
  );
}

function Detail({ agent }: { readonly agent: AgentView }) {
  const app = useApp();
  const revoking = useSignal(false);
  return (
    <>
      <p class="row">
        <ConnectedBadge agent={agent} />
        {agent.roles.includes('gateway') ? <span class="badge kind-internet">gateway</span> : null}
        {agent.ephemeral ? <span class="badge">ephemeral</span> : null}
        {agent.tags.map((tag) => (
          <span key={tag} class="badge">
            tag:{tag}
          </span>
        ))}
        <a class="button" href={app.link('flows', '', { host: agent.host })}>
          Its flows
        </a>
        {app.session.value?.role === 'admin' ? (
          <button type="button" class="button danger" onClick={() => (revoking.value = true)}>
            Revoke…
          </button>
        ) : null}
      </p>
      <Problems problems={agent.problems} />
      <div class="columns">
        <section>
          <h2>State</h2>
          <State agent={agent} />
        </section>
        <section>
          <h2>Membership</h2>
          <Membership agent={agent} />
        </section>
      </div>
      <section>
        <h2>Tunnels</h2>
        {agent.tunnels.length === 0 ? (
          <Empty title="No tunnel is open.">
            <p>One opens when a program here calls a service on another host, or one there calls a service here.</p>
          </Empty>
        ) : (
          <DataTable
            caption={`Tunnels of ${agent.host}`}
            columns={COLUMNS}
            rows={agent.tunnels}
            rowKey={({ host }) => host}
            href={({ host }) => app.link('agents', host)}
          />
        )}
      </section>
      {agent.sandboxes === undefined ? null : (
        <section>
          <h2>Programs in sandboxes</h2>
          <DataTable
            caption={`Programs in sandboxes of ${agent.host}`}
            columns={SANDBOX_COLUMNS}
            rows={agent.sandboxes}
            rowKey={({ service, user, unit, pid, sinceMs }) => [service, user, unit, pid, sinceMs].join(' ')}
            href={({ service }) => app.link('services', service)}
          />
        </section>
      )}
      {revoking.value ? <RevokeAgent agent={agent} onClose={() => (revoking.value = false)} /> : null}
    </>
  );
}

function State({ agent }: { readonly agent: AgentView }) {
  const none = 'not told yet';
  return (
    <dl class="facts">
      <dt>Last seen</dt>
      <dd>
        <LastSeen agent={agent} />
      </dd>
      <dt>Version</dt>
      <dd>
        {printable(agent.version) || none}, capability {agent.capability}
      </dd>
      <dt>Enforces revision</dt>
      <dd>
        <Enforced agent={agent} />
      </dd>
      <dt>Open flows</dt>
      <dd>{number(agent.openFlows)}</dd>
      <dt>Clock, less control's</dt>
      <dd>
        <Skew agent={agent} none={none} />
      </dd>
      <dt>Loop delay, 99th percentile</dt>
      <dd>
        <LoopDelay agent={agent} none={none} />
      </dd>
      <dt>Flow records that wait</dt>
      <dd>{agent.flowsQueued === undefined ? none : number(agent.flowsQueued)}</dd>
      <dt>Flow records lost</dt>
      <dd>
        <RecordsLost agent={agent} none={none} />
      </dd>
      <dt>Tunnels at, by its own words</dt>
      <dd class="mono">{agent.endpoints.length === 0 ? none : agent.endpoints.map(printable).join(', ')}</dd>
      <dt>Seen from</dt>
      <dd>
        <span class="mono">{agent.observedHost || 'not seen'}</span>{' '}
        {agent.addressHint === '' ? null : <Badge tone="warn">{agent.addressHint}</Badge>}
      </dd>
    </dl>
  );
}

function Membership({ agent }: { readonly agent: AgentView }) {
  const app = useApp();
  return (
    <dl class="facts">
      <dt>May run</dt>
      <dd>
        {agent.services.length === 0
          ? 'no service'
          : agent.services.map((service, index) => (
              <span key={service}>
                {index === 0 ? '' : ', '}
                <a href={app.link('services', service)}>{service}</a>
              </span>
            ))}
      </dd>
      <dt>Gateway</dt>
      <dd>
        {agent.gatewayAddress === ''
          ? agent.roles.includes('gateway')
            ? 'may be one, and is none'
            : 'no'
          : printable(agent.gatewayAddress)}
      </dd>
      <dt>Address</dt>
      <dd class="mono">{agent.address || '–'}</dd>
      <dt>Joined by token</dt>
      <dd class="mono">{[agent.tokenId, ...agent.earlierTokenIds].reverse().join(', ') || '–'}</dd>
      <dt>Identity</dt>
      <dd class="mono">{agent.id}</dd>
      <dt>Key fingerprint</dt>
      <dd class="row">
        <span class="mono wrap">{agent.fingerprint}</span>
        <CopyButton text={agent.fingerprint} what="the key's fingerprint" />
      </dd>
    </dl>
  );
}
