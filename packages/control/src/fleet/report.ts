/** What control makes of an agent's report: only what the agent may claim, and where it can really be reached. */
import {
  addressKind,
  defined,
  dialableEndpoint,
  EXPOSED_PROBLEM,
  formatHostPort,
  normalHost,
  type PlaceTry,
  type PortRange,
  type Problem,
  REACHED_PROBLEM,
  type Report,
  type ReportedExposure,
  WIRE_LIMITS,
  withPublished,
} from '@weft/proto';
import type { InstanceHealth, Presence } from '../netmap/presence.ts';
import type { AgentState, NetworkState } from '../state/types.ts';

export const EMPTY_REPORT: Report = {
  endpoints: [],
  tunnelPort: 0,
  instances: [],
  gatewayAddress: '',
  problems: [],
  tunnels: 0,
  flows: 0,
  listeners: 0,
  toldApart: [],
  othersAsHost: false,
  exposed: [],
  triedByPeers: false,
};

export interface AcceptedReport {
  /** Without what was refused, and with a problem for it. */
  readonly report: Report;
  readonly presence: Presence;
}

/** `observedHost` is the address that control sees the agent come from; empty when unknown. `doubts` are control's own; `services` the network's. */
export function acceptReport(
  agent: AgentState,
  claimed: Report,
  observedHost: string,
  doubts: readonly Problem[] = [],
  services: NetworkState['services'] = new Map(),
): AcceptedReport {
  const allowed = new Set(agent.services);
  const instances = claimed.instances
    .filter(({ service }) => allowed.has(service))
    .map((instance) => withPublished(instance, services.get(instance.service)?.service));
  const sandboxes = claimed.sandboxes?.filter(({ service }) => allowed.has(service));
  const named = [...claimed.instances, ...(claimed.sandboxes ?? [])].map(({ service }) => service);
  const refused = new Set(named.filter((service) => !allowed.has(service)));
  const usable = claimed.endpoints.flatMap((endpoint) => dialableEndpoint(endpoint, observedHost) ?? []);
  const problems = [...claimed.problems, ...Array.from(refused, notAllowed), ...doubts];
  const report = { ...claimed, instances, ...defined({ sandboxes }), problems: problems.slice(-WIRE_LIMITS.problems) };
  const health = instances.map(({ service, healthy, notListening, opened }): [string, InstanceHealth] => [
    service,
    { healthy, notListening, ...defined({ opened }) },
  ]);
  return {
    report,
    presence: {
      endpoints: endpointsOf(usable, claimed.tunnelPort, observedHost),
      instances: new Map(health),
    },
  };
}

/** With what others found of each place, and a problem for each service that somebody has reached. */
export function withTries(report: Report, tries: readonly PlaceTry[]): Report {
  if (tries.length === 0 || !report.triedByPeers) return report;
  const exposed = report.exposed.map((place) => ({ ...place, tries: tries.filter((one) => isTryOf(one, place)) }));
  const told = report.problems.map((problem) =>
    problem.code === EXPOSED_PROBLEM ? withFilter(problem, exposed) : problem,
  );
  return { ...report, exposed, problems: [...told, ...reachedProblems(exposed)] };
}

/** It listens, and a firewall on the way keeps others out: those at least that have tried. */
function withFilter(problem: Problem, exposed: readonly ReportedExposure[]): Problem {
  const tries = exposed.filter(({ service }) => service === problem.subject).flatMap((place) => place.tries);
  const tcp = tries.filter(({ outcome }) => outcome === 'silent' || outcome === 'refused' || outcome === 'answers');
  if (tcp.length === 0 || tcp.some(({ outcome }) => outcome === 'answers')) return problem;
  const from = few([...new Set(tcp.map(({ host }) => host))]);
  return { ...problem, message: `${problem.message}; tried from ${from}, nothing of it answers` };
}

/** Whether the try was of this place, as it is reported. */
export function isTryOf(one: PlaceTry, { protocol, address, port }: ReportedExposure): boolean {
  if (one.protocol !== protocol || one.port !== port) return false;
  if (address === '0.0.0.0') return !one.address.includes(':');
  return address === '::' ? one.address.includes(':') : normalHost(one.address) === normalHost(address);
}

function reachedProblems(exposed: readonly ReportedExposure[]): readonly Problem[] {
  return [...Map.groupBy(exposed, ({ service }) => service)].flatMap(([service, places]): readonly Problem[] => {
    const reached = places.flatMap(({ tries }) => tries.filter(({ outcome }) => outcome === 'answers'));
    if (reached.length === 0) return [];
    const at = [...new Set(reached.map(({ address, port }) => formatHostPort(address, port)))];
    const from = [...new Set(reached.map(({ host }) => host))];
    const message =
      `${service} is reached past Weft: ${few(at)} ${at.length === 1 ? 'answers' : 'answer'} ${few(from)}, which needs no rule; ` +
      'let it listen on 127.0.0.1 alone, or close the port on that host: weft guard on';
    return [{ code: REACHED_PROBLEM, subject: service, message }];
  });
}

function few(words: readonly string[]): string {
  const more = words.length - 4;
  return more > 0 ? `${words.slice(0, 4).join(', ')} and ${more} more` : words.join(', ');
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

/** The same agent with no instance that calls should go to, but for who asks for one by its own address. */
export function unwell(presence: Presence): Presence {
  const instances = Array.from(presence.instances, ([service, health]): [string, InstanceHealth] => [
    service,
    { ...health, healthy: false },
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

function notAllowed(service: string): Problem {
  return {
    code: 'service-not-allowed',
    subject: service,
    message: `control does not let this host run ${service}; let it by weft grant HOST --services ${service}, or take it out of its agent file`,
  };
}

function text(health: InstanceHealth): string {
  const written = (ports: readonly PortRange[]) => ports.map(({ protocol, first, last }) => [protocol, first, last]);
  return JSON.stringify([health.healthy, written(health.notListening), written(health.opened ?? [])]);
}
