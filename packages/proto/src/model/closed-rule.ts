/** A rule of which a part cannot be read: it alone fails closed, and no flow that it cannot be about is touched. */
import type { Action, Rule, RulePorts } from './mesh.ts';

/** Undefined stands for what is there and cannot be read. */
export interface PartialRule {
  readonly name: string;
  readonly action: Action | undefined;
  readonly from: readonly (string | undefined)[];
  readonly to: readonly (string | undefined)[];
  readonly ports: readonly PartialPorts[];
}

export interface PartialPorts extends Omit<RulePorts, 'protocol'> {
  readonly protocol: RulePorts['protocol'] | undefined;
}

/**
 * The rule that can be enforced in its place. What cannot be read permits nothing, and denies all that the parts which can be
 * read leave open. Undefined for one that then permits nothing at all.
 */
export function closedRule({ name, action, from, to, ports }: PartialRule): Rule | undefined {
  if (action !== 'allow') {
    const denied = ports.map(({ protocol = 'any', first, last }): RulePorts => ({ protocol, first, last }));
    return { name, action: 'deny', from: widened(from), to: widened(to), ports: denied };
  }
  const allowed = { from: from.filter(isRead), to: to.filter(isRead), ports: ports.filter(hasProtocol) };
  // No ports are all ports, which is not what a rule with none left is about.
  const nothing =
    allowed.from.length === 0 || allowed.to.length === 0 || (ports.length > 0 && allowed.ports.length === 0);
  return nothing ? undefined : { name, action, ...allowed };
}

function widened(selectors: readonly (string | undefined)[]): readonly string[] {
  return selectors.every(isRead) ? selectors : ['*'];
}

function isRead(selector: string | undefined): selector is string {
  return selector !== undefined;
}

function hasProtocol(ports: PartialPorts): ports is RulePorts {
  return ports.protocol !== undefined;
}
