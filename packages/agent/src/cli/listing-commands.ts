/** weft services and weft agents. */
import { defined, formatPortRange, type InstanceReport, messageOf, portsInWords, type Telemetry } from '@weft/proto';
import {
  adminService,
  agentTelemetryFromWire,
  agentViewCodec,
  durationFromWire,
  portsFromWire,
  reportFromWire,
  rightSourceCodec,
  rolesFromWire,
  serviceFromWire,
  timestampFromWire,
  toldFromWire,
} from '@weft/proto/wire';
import { formatDuration } from '../config/duration.ts';
import type { ServicesAnswer } from '../observe/local-question.ts';
import type { ServiceView } from '../observe/service-view.ts';
import { everyEntry, listWithAdmin, type NetworkOptions, withAdmin } from './admin.ts';
import { type AgentHere, agentInstead, askHere } from './agent-instead.ts';
import { formatTime, orDash, SKEW_BOUND_MS } from './format.ts';
import { writeJson } from './json.ts';
import type { LocalOptions } from './local-services.ts';
import { olderDataWords } from './status-command.ts';
import { type Cell, drop, short, writeTable } from './table.ts';
import { printable, type Terminal } from './terminal.ts';

type ListedInstance = ServiceView['instances'][number] & {
  /** Its agent is not connected to control; null where that is not known. */
  readonly away: boolean | null;
};

type ListedService = Omit<ServiceView, 'instances'> & { readonly instances: readonly ListedInstance[] };

export async function services(
  options: NetworkOptions & LocalOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const here = await agentInstead(options, terminal, 'the services that it is told of');
  const entries = here === undefined ? await servicesOf(options, terminal, signal) : await servicesKnown(here);
  if (options.json !== undefined) {
    writeJson(terminal, 'services', { services: entries });
    return;
  }
  const rows = entries.map((entry): Cell[] => {
    const healthy = entry.instances.filter((instance) => instance.healthy).length;
    const all = entry.instances.length;
    const color = healthy === all && all > 0 ? 'green' : healthy > 0 ? 'yellow' : 'red';
    const places = entry.instances.map(({ ordinal, host, notListening, opened, away }) => {
      const place = host === '' ? `${ordinal}` : `${ordinal}@${host}`;
      const told = [
        ...(away === true ? ['away'] : []),
        ...(notListening.length === 0 ? [] : [`not listening: ${notListening.join(',')}`]),
        ...(opened.length === 0 ? [] : [`opened: ${opened.join(',')}`]),
      ];
      return told.length === 0 ? place : `${place} (${told.join('; ')})`;
    });
    const { service } = entry;
    const publicHosts = service.public?.hosts.join(',') ?? '';
    return [
      service.name,
      service.kind,
      orDash(entry.vip),
      orDash(service.ports.join(',')),
      { text: `${healthy}/${all}`, color },
      orDash(publicHosts),
      orDash(places.join(', ')),
    ];
  });
  const head = [short('NAME'), 'KIND', 'VIP', short('PORTS'), 'HEALTHY', short('PUBLIC', 1), short('INSTANCES')];
  writeTable(terminal, head, rows, options);
}

/** Where control serves nobody, all that it tells of instances is what was so before. What was listed is worth telling without. */
async function tellOlderData(options: NetworkOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const network = options.network ?? '';
  try {
    const { olderData } = await withAdmin(options, terminal, signal, (admin) =>
      admin.call(adminService.getStatus, { network }),
    );
    if (olderData) terminal.err(`${printable(olderDataWords(olderData))}\n`);
  } catch (error) {
    if (signal.aborted) throw error;
    const words = `note: whether control's data is older than what agents heard was not told: ${messageOf(error)}`;
    terminal.err(`${printable(words)}\n`);
  }
}

async function servicesOf(
  options: NetworkOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<readonly ListedService[]> {
  const network = options.network ?? '';
  const listed = await listWithAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listServices, { network, ...page }),
      ({ services }) => services,
    ),
  );
  if (listed.some(({ instances }) => instances.some(({ away }) => away)))
    await tellOlderData(options, terminal, signal);
  return listed.map((entry) => {
    const { autoPorts, ...service } = serviceFromWire(entry.service ?? {});
    return {
      service: { ...service, ports: portsInWords({ ports: service.ports, ...defined({ autoPorts }) }) },
      vip: addressOf(entry),
      instances: entry.instances.map(({ ordinal, host, addresses, healthy, notListening, opened, away }) => ({
        ordinal,
        host,
        address: addressOf({ addresses }),
        healthy,
        notListening: portsFromWire(notListening, 'not_listening').map(formatPortRange),
        opened: portsFromWire(opened, 'opened').map(formatPortRange),
        away,
      })),
    };
  });
}

async function servicesKnown(here: AgentHere): Promise<readonly ListedService[]> {
  const { services } = await askHere<ServicesAnswer>(here, { ask: 'services' }, (answer) => 'services' in answer);
  return services.map((entry) => ({
    ...entry,
    instances: entry.instances.map((instance) => ({ ...instance, away: null })),
  }));
}

export async function agents(options: NetworkOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const network = options.network ?? '';
  const listed = await listWithAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listAgents, { network, view: agentViewCodec.toWire('full'), ...page }),
      ({ agents }) => agents,
    ),
  );
  const entries = listed.map((agent) => {
    const report = agent.report ? reportFromWire(agent.report) : null;
    // Named one by one: a default that was not sent stands on the message's prototype, where a spread does not look.
    return {
      agentId: agent.agentId,
      host: agent.host,
      connected: agent.connected,
      lastSeenMs: timestampFromWire(agent.lastSeenTime, 'last_seen_time'),
      enforcedRevision: agent.enforcedRevision,
      kept: !agent.notKept,
      version: agent.version,
      capability: agent.capability,
      services: agent.services,
      roles: rolesFromWire(agent.roles, 'roles'),
      ephemeral: agent.ephemeral,
      tags: agent.tags,
      tokenId: agent.tokenId,
      rights: agent.rights.map(({ source, tokenId, services, roles, sinceTime }) => ({
        source: toldFromWire(rightSourceCodec, source, 'source'),
        tokenId,
        services,
        roles: rolesFromWire(roles, 'roles'),
        sinceMs: timestampFromWire(sinceTime, 'since_time'),
      })),
      address: addressOf(agent),
      fingerprint: agent.fingerprint,
      behindMs: durationFromWire(agent.behind, 'behind') ?? 0,
      clockSkewMs: durationFromWire(agent.clockSkew, 'clock_skew') ?? 0,
      observedHost: agent.observedHost,
      addressHint: agent.addressHint,
      telemetry: agent.telemetry ? agentTelemetryFromWire(agent.telemetry) : null,
      report: report && {
        ...report,
        instances: report.instances.map(withPortsWritten),
        sandboxes: (report.sandboxes ?? []).map((one) => ({ ...one, ports: one.ports.map(formatPortRange) })),
      },
    };
  });
  if (options.json !== undefined) {
    writeJson(terminal, 'agents', { agents: entries });
    return;
  }
  const rows = entries.map((agent): Cell[] => {
    const ago = `${formatDuration(terminal.now() - agent.lastSeenMs)} ago`;
    const away = agent.lastSeenMs === 0 ? 'not connected yet' : `away, last seen ${ago}`;
    // It comes, and control does not serve it; the problem below says why.
    const heldOff = agent.report?.problems.some(({ code }) => code === 'held-off') === true;
    return [
      agent.host,
      agent.connected ? { text: 'connected', color: 'green' } : { text: heldOff ? 'held off' : away, color: 'red' },
      agent.kept ? String(agent.enforcedRevision) : { text: `${agent.enforcedRevision}, not kept`, color: 'red' },
      orDash(agent.address),
      orDash(agent.services.join(',')),
      orDash(agent.report?.instances.map(({ service }) => service).join(',') ?? ''),
      shutIn(agent.report?.sandboxes ?? []),
      orDash(agent.roles.join(',')),
      orDash(agent.tags.join(',')),
      agent.telemetry === null ? '-' : clockOf(agent.clockSkewMs),
      pathsOf(agent.telemetry?.peers ?? []),
      orDash(agent.report?.endpoints.join(',') ?? ''),
      seenFrom(agent),
      lostBy(agent.telemetry),
      // A control of before there were numbers says none.
      orDash(agent.capability === 0 ? '' : String(agent.capability)),
      String(agent.report?.problems.length ?? 0),
      orDash(tokensIn(agent.rights).join(', ')),
      agent.agentId,
    ];
  });
  const head = [
    short('HOST'),
    short('STATE'),
    'ENFORCES',
    drop('ADDRESS', 8),
    short('MAY RUN'),
    short('RUNS'),
    drop('SHUT IN', 2),
    drop('ROLES', 5),
    short('TAGS', 4),
    drop('CLOCK', 6),
    drop('PATHS', 3),
    drop('TUNNELS AT', 1),
    short('SEEN FROM', 0.5),
    // Nobody need see that nothing is lost, where there is little room.
    entries.some(({ telemetry }) => (telemetry?.recordsLost ?? 0) > 0) ? 'RECORDS LOST' : drop('RECORDS LOST', 0),
    drop('CAPABILITY', 2),
    'PROBLEMS',
    drop('CAME BY', 0),
    drop('ID', 7),
  ];
  writeTable(terminal, head, rows, options);
  for (const agent of entries) {
    for (const problem of agent.report?.problems ?? []) {
      terminal.err(`${printable(`${agent.host}: ${problem.subject}: ${problem.message}`)}\n`);
    }
  }
}

/** Each token that it joined with, and when: `tk_74fd09c2be51a83d 2026-03-01 12:00:00Z`. */
function tokensIn(
  rights: readonly { readonly source: string; readonly tokenId: string; readonly sinceMs: number }[],
): string[] {
  return rights
    .filter(({ source }) => source === 'token')
    .map(({ tokenId, sinceMs }) => (sinceMs === 0 ? tokenId : `${tokenId} ${formatTime(sinceMs)}`));
}

/** Of IPv4, the only family that a network has. */
function addressOf({ addresses: [first = ''] }: { readonly addresses: readonly string[] }): string {
  return first;
}

function withPortsWritten(instance: InstanceReport) {
  const { notListening, opened = [] } = instance;
  return { ...instance, notListening: notListening.map(formatPortRange), opened: opened.map(formatPortRange) };
}

/** How many programs of each service are in sandboxes: `web, 3 mailer`. */
function shutIn(sandboxes: readonly { readonly service: string }[]): string {
  const counted = [...Map.groupBy(sandboxes, ({ service }) => service)];
  return orDash(counted.map(([service, { length }]) => (length === 1 ? service : `${length} ${service}`)).join(', '));
}

/** The host's clock less control's. */
function clockOf(skewMs: number): Cell {
  const [sign, size] = [skewMs > 0 ? '+' : '', Math.abs(skewMs)];
  if (size <= SKEW_BOUND_MS) return `${sign}${Math.round(skewMs)} ms`;
  return { text: `${sign || '-'}${formatDuration(Math.round(size / 1_000) * 1_000)}`, color: 'yellow' };
}

/** With why that cannot be where it says that it is. */
function seenFrom({
  observedHost,
  addressHint,
}: {
  readonly observedHost: string;
  readonly addressHint: string;
}): Cell {
  return addressHint === '' ? orDash(observedHost) : { text: `${observedHost} (${addressHint})`, color: 'yellow' };
}

function lostBy(telemetry: Telemetry | null): Cell {
  if (telemetry === null) return '-';
  const text = String(telemetry.recordsLost);
  return telemetry.recordsLost > 0 ? { text, color: 'red' } : text;
}

/** What the paths to its peers have shown to carry, least and most: `548-1400 B`. */
function pathsOf(peers: Telemetry['peers']): string {
  const sizes = peers.map(({ pathSize }) => pathSize).filter((size) => size > 0);
  if (sizes.length === 0) return '-';
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  return least === most ? `${least} B` : `${least}-${most} B`;
}
