/** What would let a denied flow pass: the smallest change of the rules, as the evaluator that enforces them finds it. */
import type { Action, Rule } from '../model/mesh.ts';
import { sourceName } from '../model/selector.ts';
import { compilePolicy } from './compile.ts';
import type { Destination, Source } from './types.ts';

export interface Remedy {
  /** Names of the rules that deny it, in file order: each has to go, or to speak of less, for no allow beats a deny. */
  readonly denies: readonly string[];
  /** The rule that permits these flows and no other, once none denies it; undefined where no rule is needed, or helps. */
  readonly rule: Rule | undefined;
}

export interface RemedyQuestion {
  readonly rules: readonly Rule[];
  readonly defaultAction: Action;
  /** All of them are to be permitted, run by a user that no rule names. */
  readonly sources: readonly Source[];
  readonly destination: Destination;
}

const LONGEST_NAME = 63;

/** Undefined where all are permitted, and where no rule can permit one, which its verdict by `builtin:...` tells. */
export function remedyOf({ rules, defaultAction, sources, destination }: RemedyQuestion): Remedy | undefined {
  const refusedBy = (some: readonly Rule[], otherwise: Action): Source[] => {
    const policy = compilePolicy({ revision: 0, defaultAction: otherwise, rules: some });
    return sources.filter((source) => !policy.decide(source, destination, '').allowed);
  };
  if (refusedBy(rules, defaultAction).length === 0 || refusedBy([], 'allow').length > 0) return undefined;
  const denying = rules.filter((rule) => rule.action === 'deny' && refusedBy([rule], 'allow').length > 0);
  const refused = refusedBy(
    rules.filter((rule) => !denying.includes(rule)),
    defaultAction,
  );
  const denies = denying.map(({ name }) => name);
  return { denies, rule: refused.length === 0 ? undefined : permitting(rules, refused, destination) };
}

function permitting(
  rules: readonly Rule[],
  sources: readonly Source[],
  { service, port, protocol }: Destination,
): Rule {
  const from = [...new Set(sources.map(sourceName))];
  return {
    name: unused(`${from[0]?.replace(':', '-')}-to-${service.name}-${port}`, rules),
    action: 'allow',
    from,
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
