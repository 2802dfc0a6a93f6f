/** Whoever calls, on each host that it may be on: as what programs call there, since a host speaks as its one service or as itself. */
import {
  byText,
  compilePolicy,
  type Destination,
  type InexactRules,
  inexactEffect,
  listed,
  type Rule,
  type Source,
  sourceName,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetAgents, fleetRuns, fleetTold, speaksAsHost, tagsByHost } from '../fleet/projection.ts';
import { hostSource } from '../state/may-run.ts';
import type { AgentState, NetworkState } from '../state/types.ts';

/** Services or rules that a step names. */
const NAMED = 8;

export interface Caller {
  readonly agent: AgentState;
  readonly connected: boolean;
  /** What its destination takes it for. */
  readonly source: Source;
  /** Names of the services that run there. */
  readonly runs: readonly string[];
  /** Of these, whose processes its agent tells from others. */
  readonly told: ReadonlySet<string>;
  /** Whether a program there that is not told speaks as the host, even where one service alone runs. */
  readonly asHost: boolean;
}

/**
 * By host name. Undefined when nobody could call as that: no such
 * service, or no host of that name has joined. `from`: a service name, `host:NAME` or `internet`.
 */
export function callersOf(network: NetworkState, live: LiveAgents, from: string): Caller[] | undefined {
  const host = from.startsWith('host:') ? from.slice('host:'.length) : undefined;
  const known = host === undefined ? from === 'internet' || network.services.has(from) : network.hosts.has(host);
  if (!known) return undefined;
  const tags = tagsByHost(network.mesh);
  const runsOn = fleetRuns(network, live);
  return fleetAgents(network, live)
    .flatMap(({ agent, connected }): Caller[] => {
      const runs = runsOn(agent.id, agent.services);
      const told = fleetTold(live, agent.id);
      const asHost = speaksAsHost(live, agent.id);
      const caller = { agent, connected, runs, told, asHost };
      if (from === 'internet') {
        return agent.roles.includes('gateway') ? [{ ...caller, source: { type: 'internet' } }] : [];
      }
      if (host === undefined ? !runs.includes(from) : agent.host !== host) return [];
      const running = runs.flatMap((name) => network.services.get(name)?.service ?? []);
      // Whoever says how to know the processes of its one service runs others too.
      const alone = running.length === 1 && !asHost ? running[0] : undefined;
      const known = host === undefined && told.has(from) ? running.find(({ name }) => name === from) : alone;
      const source: Source =
        known === undefined
          ? hostSource(network, agent, tags.get(agent.host) ?? [])
          : { type: 'service', service: known };
      return [{ ...caller, source }];
    })
    .sort((one, other) => byText(one.agent.host, other.agent.host));
}

export function speaksAs({ agent: { host }, runs, told, source }: Caller): string {
  const name = sourceName(source);
  if (source.type === 'service')
    return told.has(name)
      ? `${host} tells processes of ${name} from others`
      : `every process on ${host} speaks as ${name}, the one service that it runs`;
  if (told.size > 0)
    return `processes on ${host} that are not known to be of ${listed([...told].sort(byText), NAMED)} speak as ${name}`;
  const them = listed([...runs].sort(byText), NAMED);
  return runs.length === 1
    ? `${host} runs ${them}, whose processes its agent does not promise to tell from others, and speaks as ${name}`
    : `${host} runs ${them}, which cannot be told apart there and speak as ${name}`;
}

/** The rules about the caller's services and this destination that its host does not enforce as they are written. */
export function inexactSteps(
  inexact: InexactRules,
  { agent, source, runs, told, asHost }: Caller,
  to: Destination,
): string[] {
  if (source.type !== 'host') return [];
  return inexact
    .on(source, runs, told, asHost)
    .flatMap(({ rule, services }): string[] => {
      const about = services.filter((name) =>
        source.services.some((service) => service.name === name && isAbout(rule, { type: 'service', service }, to)),
      );
      return about.length === 0 ? [] : [`rule ${rule.name} ${inexactEffect(rule, listed(about, NAMED), agent.host)}`];
    })
    .slice(0, NAMED);
}

function isAbout(rule: Rule, source: Source, to: Destination): boolean {
  const otherwise = rule.action === 'allow' ? 'deny' : 'allow';
  return (
    compilePolicy({ revision: 0, defaultAction: otherwise, rules: [rule] }).decide(source, to, '').rule === rule.name
  );
}
