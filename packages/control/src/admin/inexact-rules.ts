/**
 * Programs that speak as their host: rules of a mesh that are not enforced as they are written, where nobody can tell several services apart, and
 * what a change gives to such programs or takes from them.
 */
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  byText,
  compilePolicy,
  entryOf,
  type FieldProblem,
  formatPortRange,
  type HostReach,
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

/** Of one entry of a list of them. */
const MOST_NAMED = 100;
/** Verdicts made, and rules looked at, in one turn of the loop: some two milliseconds. */
const STEPS_A_TURN = 200;
/** Of one change, by the clock: its answer waits no longer for it, be the machine as busy as it may. */
const MOST_MS = 1_000;

/** What programs that speak as their host gain and lose, as far as it is told. */
export interface HostReaches {
  /** The first of them, losses before gains. */
  readonly reach: readonly HostReach[];
  /** How many more there are. */
  readonly more: number;
  /** Hosts of which it was not worked out in the time that there is. */
  readonly left: number;
}

export const NO_REACH: HostReaches = { reach: [], more: 0, left: 0 };

/**
 * By the evaluator of agents, of what both meshes declare; of a user that no rule names. Both are checked. A host of which it is known that it speaks
 * as its one service, before and after, has no such program. It ends after `mostMs`, or with the signal, by what it has; it does not reject.
 */
export async function hostReach(
  before: Standing,
  after: Standing,
  live: LiveAgents,
  signal: AbortSignal,
  mostMs = MOST_MS,
): Promise<HostReaches> {
  const pace = new Pace(mostMs, signal);
  const [old, now] = [sideOf(before), sideOf(after)];
  const isTouched = touchedBy(old, now);
  const services: Touched[] = [];
  for (const was of old.services.values()) {
    const is = now.services.get(was.name);
    if (is === undefined) continue;
    if (pace.isOver) return { reach: [], more: 0, left: after.network.agents.size };
    const about = [old, now].map(({ rules, index }) => index.to(is).flatMap((place) => rules[place] ?? []));
    if (isTouched(about)) services.push({ was, is, ports: portSegments(is, about.flat()) });
    await pace.after(about.reduce((sum, { length }) => sum + length, 1));
  }
  if (services.length === 0) return NO_REACH;
  const [ranOn, runsOn] = [fleetRuns(before.network, live), fleetRuns(after.network, live)];
  let left = 0;
  // Hosts of which all rules say the same are asked of once.
  const alike = new Map<string, { readonly hosts: string[]; readonly was: HostSource; readonly is: HostSource }>();
  for (const { id, host } of after.network.agents.values()) {
    const isHeard = live.agent(id)?.report !== undefined && !speaksAsHost(live, id);
    if (isHeard && ranOn(id, old.mayRun(host)).length === 1 && runsOn(id, now.mayRun(host)).length === 1) continue;
    if (pace.isOver) {
      left += 1;
      continue;
    }
    const [was, is] = [old.source(host), now.source(host)];
    const [rulesOld, rulesNow] = [old.index.from(was), now.index.from(is)];
    entryOf(alike, `${rulesOld.join()} ${rulesNow.join()}`, () => ({ hosts: [], was, is })).hosts.push(host);
    await pace.after(rulesOld.length + rulesNow.length + 1);
  }
  const found = new Map<string, { readonly hosts: string[]; readonly to: string[]; readonly is: Verdict }>();
  for (const { hosts, was, is } of alike.values()) {
    const turned = pace.isOver ? undefined : await turnedFor({ old, was }, { now, is }, services, pace);
    if (turned === undefined) {
      left += hosts.length;
      continue;
    }
    for (const [how, { verdict, ports }] of turned) {
      const to = [...ports].flatMap(([name, ranges]) =>
        mergeRanges(ranges).map((range) => `${name}:${formatPortRange(range)}`),
      );
      entryOf(found, `${how} ${to.join()}`, () => ({ hosts: [], to, is: verdict })).hosts.push(...hosts);
    }
  }
  // What is lost is missed first.
  const told = [...found.values()].sort((one, other) => Number(one.is.allowed) - Number(other.is.allowed));
  const reach = told.slice(0, MOST_RULES).map(
    ({ hosts, to, is }): HostReach => ({
      hosts: hosts.sort(byText).slice(0, MOST_NAMED),
      hostCount: hosts.length,
      to: to.slice(0, MOST_NAMED),
      toCount: to.length,
      verdict: is.allowed ? 'allow' : 'deny',
      rule: is.rule,
    }),
  );
  return { reach, more: told.length - reach.length, left };
}

/** A service of which anything may have become, in both meshes. */
interface Touched {
  readonly was: Service;
  readonly is: Service;
  readonly ports: readonly PortRange[];
}

interface Turned {
  readonly verdict: Verdict;
  readonly ports: Map<string, PortRange[]>;
}

/** By what decides now; undefined where the time was up before all was asked. */
async function turnedFor(
  { old, was }: { readonly old: Side; readonly was: HostSource },
  { now, is }: { readonly now: Side; readonly is: HostSource },
  services: readonly Touched[],
  pace: Pace,
): Promise<ReadonlyMap<string, Turned> | undefined> {
  const turned = new Map<string, Turned>();
  for (const service of services) {
    for (const range of service.ports) {
      const { first: port, protocol } = range;
      const told = old.policy.decide(was, { service: service.was, port, protocol }, '');
      const verdict = now.policy.decide(is, { service: service.is, port, protocol }, '');
      await pace.after(1);
      if (pace.isOver) return undefined;
      if (told.allowed === verdict.allowed || isBuiltin(told) || isBuiltin(verdict)) continue;
      const { ports } = entryOf(turned, `${verdict.allowed} ${verdict.rule}`, () => ({ verdict, ports: new Map() }));
      entryOf(ports, service.is.name, (): PortRange[] => []).push(range);
    }
  }
  return turned;
}

/** Lets others have their turn, and tells when the time is up. */
class Pace {
  readonly #endMs: number;
  readonly #signal: AbortSignal;
  #steps = 0;
  isOver: boolean;

  constructor(mostMs: number, signal: AbortSignal) {
    this.#endMs = performance.now() + mostMs;
    this.#signal = signal;
    this.isOver = mostMs <= 0 || signal.aborted;
  }

  /** So many steps were taken. */
  async after(steps: number): Promise<void> {
    this.#steps += steps;
    if (this.#steps < STEPS_A_TURN) return;
    this.#steps = 0;
    await setImmediate();
    this.isOver ||= this.#signal.aborted || performance.now() >= this.#endMs;
  }
}

/** To be told beside what was worked out. */
export function notWorkedOut({ left, more }: Pick<HostReaches, 'left' | 'more'>): FieldProblem[] {
  const rest = `${more} more entries of what hosts' programs gain and lose are not listed: there is room for ${MOST_RULES}, losses first`;
  const unknown = `what programs of ${left} more hosts gain and lose was not worked out: there is too much to ask at once`;
  return [...(more > 0 ? [problem('policies', rest)] : []), ...(left > 0 ? [problem('policies', unknown)] : [])];
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
