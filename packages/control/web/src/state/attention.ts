/** What wants an operator's eye: what is wrong now, and what is about to go wrong. */
import type { AgentView, NetworkView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import { counted, duration, printable, skew } from './format.ts';
import { hashOf } from './route.ts';

export interface Attention {
  readonly severity: 'bad' | 'warn';
  readonly text: string;
  /** Where more is told. */
  readonly href: string;
}

export interface Observed {
  readonly network: NetworkView | undefined;
  readonly services: ReadonlyMap<string, ServiceView>;
  readonly agents: ReadonlyMap<string, AgentView>;
  readonly traffic: readonly TrafficView[];
}

/** Beyond this, expiries and a flow's times tell another story on each host. */
export const SKEW_BOUND_MS = 1_000;
/** A loop this late makes every flow on its host slow. */
export const LOOP_DELAY_BOUND_MS = 200;

export type Health = 'healthy' | 'degraded' | 'down' | 'none';

/** `none`: no agent runs it. */
export function healthOf(service: ServiceView): Health {
  if (service.instances.length === 0) return 'none';
  const up = service.instances.filter((instance) => instance.healthy && instance.connected).length;
  if (up === service.instances.length && service.problems.length === 0) return 'healthy';
  return up === 0 ? 'down' : 'degraded';
}

export function skewed(agent: AgentView): boolean {
  return agent.connected && Math.abs(agent.clockSkewMs ?? 0) > SKEW_BOUND_MS;
}

export function late(agent: AgentView): boolean {
  return agent.connected && (agent.loopDelayMs ?? 0) > LOOP_DELAY_BOUND_MS;
}

/** Worst first. One line for each thing, not for each that has it, beyond three. */
export function attention(observed: Observed): readonly Attention[] {
  const agents = [...observed.agents.values()];
  const services = [...observed.services.values()];
  return [
    ...older(observed.network),
    ...unwritten(observed.network),
    ...some(
      services.filter((service) => healthOf(service) === 'down'),
      {
        severity: 'bad',
        one: (service) => `${service.name} has no healthy instance`,
        many: (count) => `${counted(count, 'service')} without a healthy instance`,
        href: (service) =>
          service === undefined ? hashOf('services', '', { health: 'down' }) : hashOf('services', service.name),
      },
    ),
    ...some(
      agents.filter((agent) => !agent.connected),
      {
        severity: 'bad',
        one: (agent) => `Agent ${agent.host} is disconnected`,
        many: (count) => `${counted(count, 'agent')} disconnected`,
        href: agentHref('disconnected'),
      },
    ),
    ...some(deniedPairs(observed.traffic), {
      severity: 'bad',
      one: ({ source, service, rule }) => `${source} is denied ${service} by ${rule}`,
      many: (count) => `${counted(count, 'pair')} denied in the last minutes`,
      href: (pair) =>
        hashOf('flows', '', {
          verdict: 'deny',
          ...(pair === undefined ? {} : { source: pair.source, service: pair.service }),
        }),
    }),
    ...some(
      agents.filter((agent) => agent.connected && agent.behindSinceMs > 0),
      {
        severity: 'warn',
        one: (agent) => `${agent.host} does not enforce revision ${observed.network?.revision ?? ''} yet`,
        many: (count) => `${counted(count, 'agent')} behind the newest revision`,
        href: agentHref('behind'),
      },
    ),
    ...some(
      services.filter((service) => healthOf(service) === 'degraded'),
      {
        severity: 'warn',
        one: (service) => `${service.name} is degraded`,
        many: (count) => `${counted(count, 'service')} degraded`,
        href: (service) =>
          service === undefined ? hashOf('services', '', { health: 'degraded' }) : hashOf('services', service.name),
      },
    ),
    ...some(withoutDoor(services, agents), {
      severity: 'warn',
      one: (service) => `${service.name} is public, and no agent is a gateway: the internet does not reach it`,
      many: (count) => `${counted(count, 'service')} public, and no agent is a gateway`,
      href: (service) => hashOf('services', service?.name),
    }),
    ...some(
      services.filter((service) => healthOf(service) === 'none'),
      {
        severity: 'warn',
        one: (service) => `No agent runs ${service.name}`,
        many: (count) => `${counted(count, 'service')} that no agent runs`,
        href: (service) =>
          service === undefined ? hashOf('services', '', { health: 'none' }) : hashOf('services', service.name),
      },
    ),
    ...some(
      agents.filter((agent) => agent.problems.length > 0),
      {
        severity: 'warn',
        one: (agent) => `${agent.host}: ${printable(agent.problems[0]?.message ?? '')}`,
        many: (count) => `${counted(count, 'agent')} with problems`,
        href: agentHref('problems'),
      },
    ),
    ...some(agents.filter(skewed), {
      severity: 'warn',
      one: (agent) => `The clock of ${agent.host} is off by ${skew(agent.clockSkewMs ?? 0)}`,
      many: (count) => `${counted(count, 'agent')} with a clock more than 1 s off`,
      href: agentHref('skewed'),
    }),
    ...some(agents.filter(late), {
      severity: 'warn',
      one: (agent) => `${agent.host} is overloaded: its loop is ${duration(agent.loopDelayMs ?? 0)} late`,
      many: (count) => `${counted(count, 'agent')} overloaded`,
      href: agentHref('late'),
    }),
    ...lost(observed.network),
  ];
}

/** Public services that the internet cannot reach, since there is no gateway at all. */
function withoutDoor(services: readonly ServiceView[], agents: readonly AgentView[]): readonly ServiceView[] {
  if (agents.some(isGateway)) return [];
  return services.filter((service) => service.public !== undefined);
}

export function isGateway({ gatewayAddress }: AgentView): boolean {
  return gatewayAddress !== '';
}

interface Telling<Item> {
  readonly severity: Attention['severity'];
  readonly one: (item: Item) => string;
  readonly many: (count: number) => string;
  /** Without an item: where all of them are. */
  readonly href: (item?: Item) => string;
}

function some<Item>(items: readonly Item[], telling: Telling<Item>): readonly Attention[] {
  const { severity } = telling;
  if (items.length > 3) return [{ severity, text: telling.many(items.length), href: telling.href() }];
  return items.map((item) => ({ severity, text: telling.one(item), href: telling.href(item) }));
}

function agentHref(state: string): (agent?: AgentView) => string {
  return (agent) => (agent === undefined ? hashOf('agents', '', { state }) : hashOf('agents', agent.host));
}

/** By source, service and rule: the hosts do not matter here. */
function deniedPairs(traffic: readonly TrafficView[]): { source: string; service: string; rule: string }[] {
  const pairs = new Map<string, { source: string; service: string; rule: string }>();
  for (const { source, service, lastDenied } of traffic) {
    if (lastDenied === undefined) continue;
    pairs.set(`${source} ${service} ${lastDenied.rule}`, { source, service, rule: lastDenied.rule });
  }
  return [...pairs.values()];
}

function older(network: NetworkView | undefined): readonly Attention[] {
  if (network?.acceptsOlderData === true) {
    const text =
      'Control was started with --accept-older-data: it takes each older copy without a question. Start it without, next time';
    return [{ severity: 'warn', text, href: hashOf('audit') }];
  }
  if (network?.olderData === undefined) return [];
  const { hosts, revision } = network.olderData;
  const text =
    `Control was restored from an older copy: ${counted(hosts.length, 'host')} heard of revision ${revision}. ` +
    'No agent is served and nothing can be changed until a newer copy is restored, or control is started with --accept-older-data';
  return [{ severity: 'bad', text, href: hashOf('agents') }];
}

function unwritten(network: NetworkView | undefined): readonly Attention[] {
  return (network?.disk ?? []).map(({ message }) => ({
    severity: 'bad',
    text: printable(message),
    href: hashOf('audit'),
  }));
}

function lost(network: NetworkView | undefined): readonly Attention[] {
  if (network === undefined) return [];
  const found: Attention[] = [];
  if (network.flowsDropped > 0) {
    const text = `${counted(network.flowsDropped, 'flow record')} lost since control started`;
    found.push({ severity: 'warn', text, href: hashOf('flows') });
  }
  if (network.trafficOmitted > 0) {
    const text = `${counted(network.trafficOmitted, 'pair')} of traffic left out for want of room`;
    found.push({ severity: 'warn', text, href: hashOf('map') });
  }
  return found;
}
