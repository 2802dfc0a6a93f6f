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
import { fleetAgents, fleetRuns, tagsByHost } from '../fleet/projection.ts';
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
      if (from === 'internet') {
        return agent.roles.includes('gateway') ? [{ agent, connected, runs, source: { type: 'internet' } }] : [];
      }
      if (host === undefined ? !runs.includes(from) : agent.host !== host) return [];
      const [only, another] = runs.flatMap((name) => network.services.get(name)?.service ?? []);
      const alone = only !== undefined && another === undefined;
      const source: Source = alone
        ? { type: 'service', service: only }
        : hostSource(network, agent, tags.get(agent.host) ?? []);
      return [{ agent, connected, runs, source }];
    })
    .sort((one, other) => byText(one.agent.host, other.agent.host));
}

export function speaksAs({ agent: { host }, runs, source }: Caller): string {
  const name = sourceName(source);
  if (source.type === 'service') return `every process on ${host} speaks as ${name}, the one service that it runs`;
  return `${host} runs ${listed([...runs].sort(byText), NAMED)}, which cannot be told apart there and speak as ${name}`;
}

/** The rules about the caller's services and this destination that its host does not enforce as they are written. */
export function inexactSteps(inexact: InexactRules, { agent, source, runs }: Caller, to: Destination): string[] {
  if (source.type !== 'host') return [];
  return inexact
    .on(source, runs)
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
  return compilePolicy({ revision: 0, defaultAction: otherwise, rules: [rule] }).decide(source, to).rule === rule.name;
}
