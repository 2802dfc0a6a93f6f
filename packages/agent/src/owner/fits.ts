/** Which service a process is of: by what the agent file says of its processes, else by who listens at the service's target. */
import type { OwnerRule, ProcessMatch } from '../words/owner.ts';
import { type ProcessFacts, unitOf } from './process.ts';
import type { Users } from './users.ts';

/** Names of services. One, and it is that; several, and nobody can tell. */
export type Fits = readonly string[];

type NumberOf = Pick<Users, 'numberOf'>['numberOf'];

/** Whether all words of it hold. */
export function fitsMatch(match: ProcessMatch, facts: ProcessFacts, numberOf: NumberOf): boolean {
  const { user, unit, cgroup, command } = match;
  if (user !== undefined && numberOf(user) !== facts.uid) return false;
  if (unit !== undefined && (facts.unit === '' || unitName(unit) !== facts.unit)) return false;
  if (cgroup !== undefined && !facts.cgroups.some((path) => isWithin(path, cgroup))) return false;
  return command === undefined || isCommand(facts.program, command);
}

const KINDS = /\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/** A unit without a kind is a service, as for systemctl: `my.app` too. */
export function unitName(unit: string): string {
  return KINDS.test(unit) ? unit : `${unit}.service`;
}

function isWithin(path: string, group: string): boolean {
  const above = `/${group.replace(/^\/+|\/+$/g, '')}`;
  return above !== '/' && (path === above || path.startsWith(`${above}/`));
}

function isCommand(program: string, command: string): boolean {
  if (program === '') return false;
  return command.includes('/') ? program === command : program.slice(program.lastIndexOf('/') + 1) === command;
}

/** What the kernel says of a socket: who made it, and in which control group. */
export interface Maker {
  readonly uid: number;
  /** Path of the group; undefined where it is not known. */
  readonly group: string | undefined;
  /** Whether a process has no other groups than that. */
  readonly only: boolean;
}

/** What a socket's maker decides alone, without a look at processes; undefined where more must be known. */
export function decidedByMaker(rules: readonly OwnerRule[], maker: Maker, numberOf: NumberOf): Fits | undefined {
  const fits: string[] = [];
  // Who fits no match may still be, or descend from, a program that has none, or one of the same user and unit that fits.
  let open = false;
  for (const { service, match } of rules) {
    const fit = match === undefined ? 'kin' : fitsMaker(match, maker, numberOf);
    if (fit === 'unknown') return undefined;
    if (fit === 'yes') fits.push(service);
    open ||= fit === 'kin';
  }
  return fits.length > 0 || !open ? fits : undefined;
}

/** `no`: nor does whoever is of the same user and unit; `kin`: those may. */
function fitsMaker(match: ProcessMatch, maker: Maker, numberOf: NumberOf): 'yes' | 'no' | 'kin' | 'unknown' {
  const { user, unit, cgroup, command } = match;
  if (user !== undefined && numberOf(user) !== maker.uid) return 'no';
  if (unit !== undefined) {
    const found = maker.group === undefined ? '' : unitOf(maker.group);
    if (found === '' && !(maker.only && maker.group !== undefined)) return 'unknown';
    if (found !== unitName(unit)) return 'no';
  }
  if (cgroup !== undefined) {
    if (maker.group === undefined) return 'unknown';
    if (!isWithin(maker.group, cgroup)) return maker.only ? 'kin' : 'unknown';
  }
  return command === undefined ? 'yes' : 'unknown';
}

export interface Kin {
  readonly self: ProcessFacts;
  /** The process, and those it descends from as long as the user is the same, nearest first. */
  readonly line: Iterable<ProcessFacts>;
  /** Services whose target this process serves. */
  readonly serves: (facts: ProcessFacts) => Fits;
}

/** By what: the agent file's word, or the process that listens. */
export interface Fit {
  readonly fits: Fits;
  readonly by: 'match' | ProcessFacts | undefined;
}

/** What the file says goes before what is found. */
export function fitOf(rules: readonly OwnerRule[], { self, line, serves }: Kin, numberOf: NumberOf): Fit {
  const said = rules.filter(({ match }) => match !== undefined && fitsMatch(match, self, numberOf));
  if (said.length > 0) return { fits: said.map(({ service }) => service), by: 'match' };
  for (const facts of line) {
    // Who listens in a service's place without being what the file says of it is not the service.
    const served = serves(facts).filter((name) => {
      const rule = rules.find(({ service }) => service === name);
      return rule !== undefined && (rule.match === undefined || fitsMatch(rule.match, facts, numberOf));
    });
    if (served.length > 0) return { fits: served, by: facts };
  }
  return { fits: [], by: undefined };
}

export function fitsOf(rules: readonly OwnerRule[], kin: Kin, numberOf: NumberOf): Fits {
  return fitOf(rules, kin, numberOf).fits;
}
