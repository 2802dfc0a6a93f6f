/** What control makes of an agent's report: only what the agent may claim, and where it can really be reached. */
import {
  type AddressKind,
  addressKind,
  formatHostPort,
  normalHost,
  type Problem,
  parseHostPort,
  type Report,
  WIRE_LIMITS,
} from '@weft/proto';
import type { InstanceHealth, Presence } from '../netmap/presence.ts';
import type { AgentState } from '../state/types.ts';

export const EMPTY_REPORT: Report = {
  endpoints: [],
  tunnelPort: 0,
  instances: [],
  gatewayAddress: '',
  problems: [],
  tunnels: 0,
  flows: 0,
  listeners: 0,
};

export interface AcceptedReport {
  /** Without what was refused, and with a problem for it. */
  readonly report: Report;
  readonly presence: Presence;
}

/** `observedHost` is the address that control sees the agent come from; empty when unknown. `doubts` are control's own. */
export function acceptReport(
  agent: AgentState,
  claimed: Report,
  observedHost: string,
  doubts: readonly Problem[] = [],
): AcceptedReport {
  const allowed = new Set(agent.services);
  const instances = claimed.instances.filter(({ service }) => allowed.has(service));
  const refused = new Set(claimed.instances.map(({ service }) => service).filter((service) => !allowed.has(service)));
  const usable = usableEndpoints(claimed, observedHost);
  const unknown = usable.length === 0 && claimed.endpoints.length > 0 && observedHost !== '';
  const undialable = unknown ? [notDialable(claimed.endpoints, observedHost)] : [];
  const problems = [...claimed.problems, ...Array.from(refused, notAllowed), ...undialable, ...doubts];
  const report = { ...claimed, instances, problems: problems.slice(-WIRE_LIMITS.problems) };
  const health = instances.map(({ service, healthy, notListening }): [string, InstanceHealth] => [
    service,
    { healthy, notListening },
  ]);
  return {
    report,
    presence: { endpoints: endpointsOf(usable, claimed.tunnelPort, observedHost), instances: new Map(health) },
  };
}

/** The same value as `before` when nothing differs, so that views are not made anew for nothing. */
export function unchangedPresence(before: Presence | undefined, next: Presence): Presence {
  if (before === undefined) return next;
  const instances = new Map(
    Array.from(next.instances, ([service, health]): [string, InstanceHealth] => {
      const was = before.instances.get(service);
      return [service, was !== undefined && text(was) === text(health) ? was : health];
    }),
  );
  const endpoints = before.endpoints.join() === next.endpoints.join() ? before.endpoints : next.endpoints;
  const same =
    endpoints === before.endpoints &&
    instances.size === before.instances.size &&
    Array.from(instances).every(([service, health]) => before.instances.get(service) === health);
  return same ? before : { endpoints, instances };
}

/** The same agent with no instance that calls should go to. */
export function unwell(presence: Presence): Presence {
  const instances = Array.from(presence.instances, ([service, { notListening }]): [string, InstanceHealth] => [
    service,
    { healthy: false, notListening },
  ]);
  return { endpoints: presence.endpoints, instances: new Map(instances) };
}

/** As claimed, best first; then where control sees it, which is all there is for an agent that cannot know its address. */
function endpointsOf(usable: readonly string[], tunnelPort: number, observedHost: string): string[] {
  // Control's own loopback is nobody else's, but with every part on one machine it is the way.
  const within = usable.length > 0 && addressKind(observedHost) === 'loopback';
  const observable = observedHost !== '' && tunnelPort > 0 && !within;
  return [...new Set(observable ? [...usable, formatHostPort(observedHost, tunnelPort)] : usable)];
}

function usableEndpoints({ endpoints }: Report, observedHost: string): string[] {
  const seen = addressKind(observedHost);
  return endpoints.flatMap((endpoint) => usableEndpoint(endpoint, seen) ?? []).slice(0, WIRE_LIMITS.reportEndpoints);
}

/**
 * In its one form, or undefined for one that its peers must not dial: a member gone bad would have them knock at their own
 * ports, at VIPs, where they count as local, or at their cloud's metadata.
 */
function usableEndpoint(endpoint: string, seen: AddressKind): string | undefined {
  const { host = '', port = 0 } = parseHostPort(endpoint) ?? {};
  const normal = normalHost(host);
  if (port === 0 || normal === undefined) return undefined;
  const kind = addressKind(normal);
  return kind === 'outside' || kind === 'name' || (kind === seen && kind !== 'vip' && kind !== 'unusable')
    ? formatHostPort(normal, port)
    : undefined;
}

function notDialable(endpoints: readonly string[], observedHost: string): Problem {
  const [first = ''] = endpoints;
  return {
    code: 'endpoint-refused',
    subject: first,
    message:
      `no agent of another host can dial ${endpoints.slice(0, 3).join(', ')}, and control, which sees this one come from ${observedHost}, ` +
      'tells them of no such address; start it with --advertise HOST:PORT, or --tunnel, of an address where they find it',
  };
}

function notAllowed(service: string): Problem {
  return {
    code: 'service-not-allowed',
    subject: service,
    message: `this agent's join token does not allow ${service}; join again with a token made with --services ${service}`,
  };
}

function text(health: InstanceHealth): string {
  return JSON.stringify([
    health.healthy,
    health.notListening.map(({ protocol, first, last }) => [protocol, first, last]),
  ]);
}
