/**
 * Programs that speak as their host: rules of a mesh that are not enforced as they are written, where nobody can tell several services apart, and
 * what a change gives to such programs or takes from them.
 */
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  type Action,
  byText,
  compilePolicy,
  entryOf,
  type FieldProblem,
  formatPortRange,
  type HostSource,
  type InexactRule,
  InexactRules,
  inexactEffect,
  listed,
  type Mesh,
  type PortRange,
  plainRules,
  problem,
  type Rule,
  RuleIndex,
  type Service,
  type Verdict,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetRuns, fleetTold, speaksAsHost, tagsByHost } from '../fleet/projection.ts';
import { mergeRanges, portSegments } from '../netmap/port-segments.ts';
import { mayRunIn } from '../state/may-run.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts and services that a warning names. */
const NAMED = 8;
/** Past so many the list says nothing new. */
const MOST_RULES = 100;

/** Hosts count by what they may run and run now, in the network as it stands; none does before the first apply. */
export function inexactRules(mesh: Mesh, network: NetworkState | undefined, live: LiveAgents): FieldProblem[] {
  if (network === undefined) return [];
  const [mayRun, tags] = [mayRunIn(mesh, network), tagsByHost(mesh)];
  const declared = new Map(mesh.services.map((service) => [service.name, service]));
  const runsOn = fleetRuns(network, live);
  const index = new InexactRules(mesh.policies, mesh.defaultAction);
  // Many hosts are alike, and what they may run is then the same list.
  const alike = new Map<readonly string[], Map<string, readonly InexactRule[]>>();
  const found = new Map<number, { readonly hosts: string[]; readonly services: Set<string> }>();
  for (const { id, host } of network.agents.values()) {
    const names = mayRun(host);
    const runs = runsOn(id, names);
    const known = entryOf(alike, names, () => new Map());
    const told = fleetTold(live, id);
    const asHost = speaksAsHost(live, id);
    const inexact = entryOf(known, `${runs.join()} ${[...told].join()} ${asHost}`, () =>
      index.among(
        names.flatMap((name) => declared.get(name) ?? []),
        runs.filter((name) => declared.has(name)),
        told,
        asHost,
      ),
    );
    const own = inexact.length === 0 ? undefined : index.about({ name: host, tags: tags.get(host) ?? [] });
    for (const { place, services: named } of inexact) {
      if (own?.has(place)) continue;
      const entry = entryOf(found, place, () => ({ hosts: [], services: new Set<string>() }));
      entry.hosts.push(host);
      for (const name of named) entry.services.add(name);
    }
  }
  const told = [...found].sort(([one], [other]) => one - other);
  const warnings = told.slice(0, MOST_RULES).flatMap(([place, { hosts, services }]) => {
    const rule = mesh.policies[place];
    if (rule === undefined) return [];
    const effect = inexactEffect(rule, listed([...services].sort(byText), NAMED), listed(hosts.sort(byText), NAMED));
    const message = `rule ${rule.name} ${effect}; let match in the hosts' agent files tell their processes apart, give the service a host of its own, or name the hosts`;
    return [problem(`policies[${place}]`, message)];
  });
  const more = told.length - warnings.length;
  if (more > 0)
    warnings.push(problem('policies', `${more} more rules are not enforced as written, for the same reason`));
  return warnings;
}

/** A mesh, and the network whose hosts stand under it. */
export interface Standing {
  readonly mesh: Mesh;
  readonly network: NetworkState;
}

/** What a change gives to, or takes from, programs that speak as their host. */
export interface HostReach {
  /** By name, the first of `hostCount`. */
  readonly hosts: readonly string[];
  readonly hostCount: number;
  /** What they reach now or no more, such as `statsd:8125/udp`: the first of `toCount`. */
  readonly to: readonly string[];
  readonly toCount: number;
  /** What is so now; it was the other before. */
  readonly verdict: Action;
  /** That decides it now: a rule's name, or `default`. */
  readonly rule: string;
}

/** Of one entry of a list of them. */
const MOST_NAMED = 100;
/** Verdicts made, and rules looked at, in one turn of the loop: a millisecond or so. */
const STEPS_A_TURN = 2_000;
/** Of one change: half a second of work. */
const MOST_VERDICTS = 500_000;

/**
 * By the evaluator of agents, of what both meshes declare; of a user that no rule names. Both are checked. A host that speaks as its one service has
 * no such program. `left`: hosts of which it was not worked out, as there is too much to ask. Rejects as the signal does.
 */
export async function hostReach(
  before: Standing,
  after: Standing,
  live: LiveAgents,
  signal: AbortSignal,
  mostVerdicts = MOST_VERDICTS,
): Promise<{ readonly reach: readonly HostReach[]; readonly left: number }> {
  const [old, now] = [sideOf(before), sideOf(after)];
  let steps = 0;
  const pace = async (more: number): Promise<void> => {
    steps += more;
    if (steps < STEPS_A_TURN) return;
    steps = 0;
    await setImmediate();
    signal.throwIfAborted();
  };
  const isTouched = touchedBy(old, now);
  const services: { readonly was: Service; readonly is: Service; readonly ports: readonly PortRange[] }[] = [];
  for (const was of old.services.values()) {
    const is = now.services.get(was.name);
    if (is === undefined) continue;
    const about = [old, now].map(({ rules, index }) => index.to(is).flatMap((place) => rules[place] ?? []));
    if (isTouched(about)) services.push({ was, is, ports: portSegments(is, about.flat()) });
    await pace(about.reduce((sum, { length }) => sum + length, 1));
  }
  if (services.length === 0) return { reach: [], left: 0 };
  const runsOn = fleetRuns(after.network, live);
  // Hosts of which all rules say the same are asked of once.
  const alike = new Map<string, { readonly hosts: string[]; readonly was: HostSource; readonly is: HostSource }>();
  for (const { id, host } of after.network.agents.values()) {
    const mayRun = now.mayRun(host);
    if (runsOn(id, mayRun).length === 1 && !speaksAsHost(live, id)) continue;
    const [was, is] = [old.source(host), now.source(host)];
    const [rulesOld, rulesNow] = [old.index.from(was), now.index.from(is)];
    entryOf(alike, `${rulesOld.join()} ${rulesNow.join()}`, () => ({ hosts: [], was, is })).hosts.push(host);
    await pace(rulesOld.length + rulesNow.length + 1);
  }
  const found = new Map<string, { readonly hosts: string[]; readonly to: string[]; readonly is: Verdict }>();
  let [verdicts, left] = [0, 0];
  for (const { hosts, was, is } of alike.values()) {
    if (verdicts > mostVerdicts) {
      left += hosts.length;
      continue;
    }
    const turned = new Map<string, { readonly verdict: Verdict; readonly ports: Map<string, PortRange[]> }>();
    for (const service of services) {
      for (const range of service.ports) {
        const { first: port, protocol } = range;
        const told = old.policy.decide(was, { service: service.was, port, protocol }, '');
        const verdict = now.policy.decide(is, { service: service.is, port, protocol }, '');
        verdicts += 1;
        await pace(1);
        if (told.allowed === verdict.allowed || isBuiltin(told) || isBuiltin(verdict)) continue;
        const { ports } = entryOf(turned, `${verdict.allowed} ${verdict.rule}`, () => ({ verdict, ports: new Map() }));
        entryOf(ports, service.is.name, (): PortRange[] => []).push(range);
      }
    }
    for (const [how, { verdict, ports }] of turned) {
      const to = [...ports].flatMap(([name, ranges]) =>
        mergeRanges(ranges).map((range) => `${name}:${formatPortRange(range)}`),
      );
      entryOf(found, `${how} ${to.join()}`, () => ({ hosts: [], to, is: verdict })).hosts.push(...hosts);
    }
  }
  const reach = [...found.values()].slice(0, MOST_RULES).map(
    ({ hosts, to, is }): HostReach => ({
      hosts: hosts.sort(byText).slice(0, MOST_NAMED),
      hostCount: hosts.length,
      to: to.slice(0, MOST_NAMED),
      toCount: to.length,
      verdict: is.allowed ? 'allow' : 'deny',
      rule: is.rule,
    }),
  );
  return { reach, left };
}

/** To be told beside what was worked out. */
export function notWorkedOut(left: number): FieldProblem[] {
  if (left === 0) return [];
  const message = `what programs of ${left} more hosts gain and lose was not worked out: there is too much to ask at once`;
  return [problem('policies', message)];
}

/** Nothing of it is the doing of a rule: a worker, or a port that is declared on one side alone. */
function isBuiltin({ rule }: Verdict): boolean {
  return rule.startsWith('builtin:');
}

function sideOf({ mesh, network }: Standing) {
  const rules = plainRules(mesh.policies);
  const services = new Map(mesh.services.map((service) => [service.name, service]));
  const [mayRun, tags] = [mayRunIn(mesh, network), tagsByHost(mesh)];
  // Many hosts have the same.
  const lists = new Map<readonly string[], readonly Service[]>();
  const source = (name: string): HostSource => {
    const names = mayRun(name);
    const may = entryOf(lists, names, () => names.flatMap((one) => services.get(one) ?? []));
    return { type: 'host', name, tags: tags.get(name) ?? [], services: may };
  };
  const policy = compilePolicy({ revision: 0, defaultAction: mesh.defaultAction, rules: mesh.policies });
  return { mesh, network, rules, services, mayRun, source, policy, index: new RuleIndex(rules) };
}

type Side = ReturnType<typeof sideOf>;

/** Whether anything may have become of a service, of which these rules spoke and speak: all of them where what callers are has changed. */
function touchedBy(old: Side, now: Side): (about: readonly (readonly Rule[])[]) => boolean {
  const callers = ({ mesh: { defaultAction, agents, services }, network }: Side) => [
    defaultAction,
    agents,
    services.map(({ name, kind, tags }) => [name, kind, tags]),
    Array.from(network.agents.values(), ({ granted }) => granted),
  ];
  if (!isDeepStrictEqual(callers(old), callers(now))) return () => true;
  // Rules are many, and each may be about every service.
  const texts = new Map([...old.rules, ...now.rules].map((rule) => [rule, JSON.stringify(rule)]));
  return ([before = [], after = []]) =>
    before.length !== after.length || before.some((rule, at) => texts.get(rule) !== texts.get(after[at] as Rule));
}
