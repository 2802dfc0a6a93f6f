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
  type Source,
  type Verdict,
} from '@weft/proto';
import type { LiveAgents } from '../fleet/live.ts';
import { fleetRuns, fleetTold, speaksAsHost, tagsByHost } from '../fleet/projection.ts';
import { mergeRanges, portSegments } from '../netmap/port-segments.ts';
import { mayRunIn } from '../state/may-run.ts';
import { firstOf } from '../state/meshes.ts';
import type { NetworkState } from '../state/types.ts';

/** Hosts and services that a warning names. */
const NAMED = 8;
/** Past so many the list says nothing new. */
const MOST_RULES = 100;

/**
 * Hosts count by what they may run and run now, in the network as it stands; none does before the first apply. It ends after `mostMs`, or
 * with the signal, by what it has; it does not reject.
 */
export async function inexactRules(
  mesh: Mesh,
  network: NetworkState | undefined,
  live: LiveAgents,
  signal: AbortSignal,
  mostMs = MOST_FOR_RULES_MS,
): Promise<FieldProblem[]> {
  if (network === undefined) return [];
  const pace = new Pace(mostMs, signal);
  const [mayRun, tags] = [mayRunIn(mesh, network), tagsByHost(mesh)];
  const declared = new Map(mesh.services.map((service) => [service.name, service]));
  const runsOn = fleetRuns(network, live);
  const index = new InexactRules(mesh.policies, mesh.defaultAction);
  // Many hosts are alike, and what they may run is then the same list.
  const alike = new Map<readonly string[], Map<string, readonly InexactRule[]>>();
  const groups = new Map<readonly InexactRule[], Map<string, string[]>>();
  /** By the place of a rule: hosts in groups, in each of which the same rules hold. */
  const found = new Map<number, { readonly hosts: (readonly string[])[]; readonly services: Set<string> }>();
  let left = 0;
  for (const { id, host } of network.agents.values()) {
    if (pace.isOver) {
      left += 1;
      continue;
    }
    const names = mayRun(host);
    const runs = runsOn(id, names);
    const known = entryOf(alike, names, () => new Map());
    const told = fleetTold(live, id);
    const asHost = speaksAsHost(live, id);
    let steps = 1;
    const inexact = entryOf(known, `${runs.join()} ${[...told].join()} ${asHost}`, () => {
      const made = index.among(
        names.flatMap((name) => declared.get(name) ?? []),
        runs.filter((name) => declared.has(name)),
        told,
        asHost,
      );
      steps += names.length + made.length;
      return made;
    });
    if (inexact.length > 0) {
      const own = index.about({ name: host, tags: tags.get(host) ?? [] });
      const group = entryOf(
        entryOf(groups, inexact, () => new Map()),
        [...own].join(),
        () => {
          const hosts: string[] = [];
          for (const { place, services } of inexact) {
            if (own.has(place)) continue;
            const entry = entryOf(found, place, () => ({ hosts: [], services: new Set<string>() }));
            entry.hosts.push(hosts);
            for (const name of services) entry.services.add(name);
          }
          steps += inexact.length;
          return hosts;
        },
      );
      group.push(host);
    }
    await pace.after(steps);
  }
  const told = [...found].sort(([one], [other]) => one - other);
  const warnings: FieldProblem[] = [];
  for (const [place, { hosts, services }] of told.slice(0, MOST_RULES)) {
    const rule = mesh.policies[place];
    if (rule === undefined) continue;
    const all = hosts.flat().sort(byText);
    const effect = inexactEffect(rule, listed([...services].sort(byText), NAMED), listed(all, NAMED));
    const message = `rule ${rule.name} ${effect}; let match in the hosts' agent files tell their processes apart, give the service a host of its own, or name the hosts`;
    warnings.push(problem(`policies[${place}]`, message));
    await pace.after(all.length);
  }
  const more = told.length - warnings.length;
  if (more > 0)
    warnings.push(problem('policies', `${more} more rules are not enforced as written, for the same reason`));
  if (left > 0)
    warnings.push(
      problem(
        'policies',
        `whether rules are enforced as written on ${left} more hosts was not worked out: there is too much to ask at once`,
      ),
    );
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

/** That a rule is not enforced as written is waited for longer: who does not hear of it takes it for enforced. */
const MOST_FOR_RULES_MS = 5_000;

/** What programs that speak as their host gain and lose, as far as it is told. */
export interface HostReaches {
  /** The first of them, losses before gains. */
  readonly reach: readonly HostReach[];
  /** How many more there are. */
  readonly more: number;
  /** Hosts of which it was not worked out in the time that there is. */
  readonly left: number;
  /** Hosts that run this service alone from then on, and were taken to speak as it, where that makes a difference. */
  readonly alone: ReadonlyMap<string, readonly string[]>;
}

export const NO_REACH: HostReaches = { reach: [], more: 0, left: 0, alone: new Map() };

/**
 * By the evaluator of agents, of what both meshes declare; of a user that no rule names. Both are checked. Each side is asked as whom such a program speaks there;
 * where that is a service before and after, there is none. It ends after `mostMs`, or with the signal, by what it has; it does not reject.
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
    if (pace.isOver) return { ...NO_REACH, left: after.network.agents.size };
    const about = [old, now].map(({ rules, index }) => index.to(is).flatMap((place) => rules[place] ?? []));
    if (isTouched(about)) services.push({ was, is, ports: portSegments(is, about.flat()) });
    await pace.after(about.reduce((sum, { length }) => sum + length, 1));
  }
  if (services.length === 0) return NO_REACH;
  const [ranOn, runsOn] = [fleetRuns(before.network, live), fleetRuns(after.network, live)];
  let left = 0;
  // Hosts of which all rules say the same are asked of once.
  const alike = new Map<string, Alike>();
  for (const { id, host } of after.network.agents.values()) {
    const saysService = live.agent(id)?.report !== undefined && !speaksAsHost(live, id);
    const {
      before: spoke,
      after: speaks,
      taken,
    } = speechOn(ranOn(id, old.mayRun(host)), runsOn(id, now.mayRun(host)), saysService);
    if (spoke !== undefined && speaks !== undefined) continue;
    if (pace.isOver) {
      left += 1;
      continue;
    }
    const [was, is] = [old.source(host, spoke), now.source(host, speaks)];
    const [rulesOld, rulesNow] = [old.index.from(was), now.index.from(is)];
    const key = `${spoke ?? ''} ${rulesOld.join()} ${speaks ?? ''} ${rulesNow.join()}`;
    // That it speaks as its host all the same is asked too, of which other rules may speak.
    const own = taken ? { alone: speaks, else: now.source(host) } : undefined;
    const otherwise = own === undefined ? '' : now.index.from(own.else).join();
    entryOf(alike, `${key} ${otherwise}`, (): Alike => ({ hosts: [], was, is, own })).hosts.push(host);
    await pace.after(rulesOld.length + rulesNow.length + 1);
  }
  const found = new Map<string, { readonly hosts: string[]; readonly to: string[]; readonly is: Verdict }>();
  const alone = new Map<string, string[]>();
  for (const { hosts, was, is, own } of alike.values()) {
    const turned = pace.isOver ? undefined : await turnedFor({ old, was }, { now, is }, services, pace);
    const otherwise = own && (await turnedFor({ old, was }, { now, is: own.else }, services, pace));
    if (own?.alone !== undefined && !isDeepStrictEqual(toldBy(turned), toldBy(otherwise)))
      entryOf(alone, own.alone, () => []).push(...hosts);
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
  for (const hosts of alone.values()) hosts.sort(byText);
  return { reach, more: told.length - reach.length, left, alone };
}

/** Hosts of which all rules say the same. */
interface Alike {
  readonly hosts: string[];
  readonly was: Source;
  readonly is: Source;
  /** Where it is taken for so that they speak as their one service: that, and what else they may be. */
  readonly own: { readonly alone: string | undefined; readonly else: Source } | undefined;
}

/**
 * The service as which all programs of a host speak, where there is one, by what runs before and after. An agent tells whether it is so of what runs now; of one that
 * comes to be the only one it is taken for so (`taken`), for the agent file may have a `match` of it.
 */
function speechOn(ran: readonly string[], runs: readonly string[], saysService: boolean) {
  const before = ran.length === 1 && saysService ? ran[0] : undefined;
  if (runs.length !== 1) return { before, after: undefined, taken: false };
  const isAsBefore = ran.length === 1 && ran[0] === runs[0];
  return { before, after: isAsBefore ? before : runs[0], taken: !isAsBefore };
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
  { old, was }: { readonly old: Side; readonly was: Source },
  { now, is }: { readonly now: Side; readonly is: Source },
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

function toldBy(turned: ReadonlyMap<string, Turned> | undefined) {
  return turned && new Map([...turned].map(([how, { ports }]) => [how, ports]));
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
export function besideReach({ left, more, alone }: Omit<HostReaches, 'reach'>): FieldProblem[] {
  const rest = `${more} more entries of what hosts' programs gain and lose are not listed: there is room for ${MOST_RULES}, losses first`;
  const unknown = `what programs of ${left} more hosts gain and lose was not worked out: there is too much to ask at once`;
  const taken = [...alone].map(([service, hosts]) =>
    problem(
      'policies',
      `${listed(hosts, NAMED)} ${hosts.length === 1 ? 'runs' : 'run'} ${service} alone after this, and what programs there gain and lose is told as of ${service}, for which all of them then speak; ` +
        `where the agent file there has a match of ${service}, those that it does not match go on to speak as their host`,
    ),
  );
  const counted = [
    ...(more > 0 ? [problem('policies', rest)] : []),
    ...(left > 0 ? [problem('policies', unknown)] : []),
  ];
  return [...firstOf(taken, MOST_RULES, 'services that come to be the only ones of hosts'), ...counted];
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
  /** `alone`: the service as which all its programs speak. */
  const source = (name: string, alone?: string): Source => {
    const service = services.get(alone ?? '');
    if (service !== undefined) return { type: 'service', service };
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
