/** What would let a denied flow pass: the smallest change of the rules, as the evaluator that enforces them finds it. */
import type { Action, Rule } from '../model/mesh.ts';
import { sourceName } from '../model/selector.ts';
import { compilePolicy } from './compile.ts';
import type { Destination, Source } from './types.ts';

export interface Remedy {
  /** Names of the rules that deny it, in file order: each has to go, or to speak of less, for no allow beats a deny. */
  readonly denies: readonly string[];
  /** The rule that permits this flow and no other, once none denies it; undefined where no rule is needed, or helps. */
  readonly rule: Rule | undefined;
}

export interface RemedyQuestion {
  readonly rules: readonly Rule[];
  readonly defaultAction: Action;
  readonly source: Source;
  readonly destination: Destination;
}

const LONGEST_NAME = 63;

/** Undefined where it is permitted, and where no rule can permit it, which its verdict by `builtin:...` tells. */
export function remedyOf({ rules, defaultAction, source, destination }: RemedyQuestion): Remedy | undefined {
  const decide = (some: readonly Rule[], otherwise: Action) =>
    compilePolicy({ revision: 0, defaultAction: otherwise, rules: some }).decide(source, destination);
  if (decide(rules, defaultAction).allowed || !decide([], 'allow').allowed) return undefined;
  const denying = rules.filter((rule) => rule.action === 'deny' && !decide([rule], 'allow').allowed);
  const left = rules.filter((rule) => !denying.includes(rule));
  const denies = denying.map(({ name }) => name);
  return { denies, rule: decide(left, defaultAction).allowed ? undefined : permitting(rules, source, destination) };
}

function permitting(rules: readonly Rule[], source: Source, { service, port, protocol }: Destination): Rule {
  const from = sourceName(source);
  return {
    name: unused(`${from.replace(':', '-')}-to-${service.name}-${port}`, rules),
    action: 'allow',
    from: [from],
    to: [service.name],
    ports: [{ protocol, first: port, last: port }],
  };
}

/** Of no rule there is, and no longer than a rule's name may be. */
function unused(wished: string, rules: readonly Rule[]): string {
  const taken = new Set(rules.map(({ name }) => name));
  for (let count = 1; ; count++) {
    const suffix = count === 1 ? '' : `-${count}`;
    const name = `${wished.slice(0, LONGEST_NAME - suffix.length)}${suffix}`;
    if (!taken.has(name)) return name;
  }
}
