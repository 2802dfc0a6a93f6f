/** Rules with ports in their `to`, as the rules that agents enforce: `to: [rabbit:15672]` is `to: [rabbit]` with `ports: [15672]`. */
import type { Rule, RulePorts } from '../model/mesh.ts';
import { formatRulePorts } from '../model/ports.ts';
import { portedSelector } from '../model/selector.ts';
import { entryOf } from '../model/values.ts';

const made = new WeakMap<readonly Rule[], readonly Rule[]>();

/**
 * In the same order, those made of one rule under its name. The same list where no rule names ports so, and for one list
 * always the same.
 */
export function plainRules(rules: readonly Rule[]): readonly Rule[] {
  return entryOf(made, rules, () => (rules.every(isPlain) ? rules : rules.flatMap(plainRule)));
}

function isPlain({ to }: Rule): boolean {
  return to.every((text) => portedSelector(text) === undefined);
}

function plainRule(rule: Rule): readonly Rule[] {
  if (isPlain(rule)) return [rule];
  const byPorts = new Map<string, { readonly to: string[]; readonly ports: readonly RulePorts[] }>();
  for (const text of rule.to) {
    const ported = portedSelector(text);
    const key = ported === undefined ? '' : formatRulePorts(ported.ports);
    const { to } = entryOf(byPorts, key, () => ({ to: [], ports: ported === undefined ? rule.ports : [ported.ports] }));
    to.push(ported?.service ?? text);
  }
  return Array.from(byPorts.values(), ({ to, ports }) => ({ ...rule, to, ports }));
}
