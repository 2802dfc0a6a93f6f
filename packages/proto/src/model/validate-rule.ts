/** What is wrong with one rule of the policy, and what in it is likely a mistake. */
import { FormatError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { PortRange, Rule, Service } from './mesh.ts';
import { ruleNameProblem } from './names.ts';
import { formatPortRange, overlaps } from './ports.ts';
import { type FieldProblem, problem, quote } from './problem.ts';
import { parseSelector, type Selector, selectorProblem } from './selector.ts';
import { checkRange } from './validate-service.ts';

/** What selectors may refer to. */
export interface KnownNames {
  readonly services: ReadonlyMap<string, Service>;
  /** Of services and agents alike. */
  readonly tags: ReadonlySet<string>;
}

interface Found {
  readonly errors: FieldProblem[];
  readonly warnings: FieldProblem[];
}

export function checkRule(rule: Rule, field: string, known: KnownNames): Found {
  const found: Found = { errors: [], warnings: [] };
  const wrong = ruleNameProblem(rule.name);
  if (wrong !== undefined)
    found.errors.push(problem(`${field}.name`, `${quote(rule.name)} is not a policy name: ${wrong}`));
  if (rule.action !== 'allow' && rule.action !== 'deny') {
    found.errors.push(problem(`${field}.action`, 'expected allow or deny'));
  }
  checkSelectors(rule, 'from', field, known, found);
  const to = checkSelectors(rule, 'to', field, known, found);
  if (rule.ports.length > LIMITS.rulePorts) {
    found.errors.push(problem(`${field}.ports`, `${rule.ports.length} entries; expected at most ${LIMITS.rulePorts}`));
  }
  found.errors.push(...rule.ports.flatMap((range, index) => checkRange(range, `${field}.ports[${index}]`)));
  if (found.errors.length === 0) found.warnings.push(...idleParts(rule, to, field, known));
  return found;
}

/** The selectors that can be read, undefined in the places of those that cannot. */
function checkSelectors(
  rule: Rule,
  side: 'from' | 'to',
  ruleField: string,
  known: KnownNames,
  found: Found,
): readonly (Selector | undefined)[] {
  const texts = rule[side];
  const field = `${ruleField}.${side}`;
  if (texts.length === 0 || texts.length > LIMITS.selectors) {
    found.errors.push(problem(field, `expected 1 to ${LIMITS.selectors} selectors; * selects everyone`));
    return [];
  }
  return texts.map((text, index) => {
    const at = `${field}[${index}]`;
    const selector = readSelector(text, at, found);
    const wrong = selector && selectorProblem(selector, side);
    if (wrong !== undefined) found.errors.push(problem(at, wrong));
    if (selector?.type === 'service' && !known.services.has(selector.name)) {
      found.errors.push(problem(at, `there is no service ${quote(selector.name)}; expected one of this file`));
    }
    if (selector?.type === 'tag' && !known.tags.has(selector.name)) {
      found.warnings.push(problem(at, `no service and no agent carries the tag ${quote(selector.name)}`));
    }
    return selector;
  });
}

function readSelector(text: string, field: string, found: Found): Selector | undefined {
  try {
    return parseSelector(text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    found.errors.push(problem(field, error.message));
    return undefined;
  }
}

/** Parts of a valid rule that no flow can ever meet. */
function idleParts(
  rule: Rule,
  to: readonly (Selector | undefined)[],
  field: string,
  known: KnownNames,
): FieldProblem[] {
  const workers = to.flatMap((selector, index) => {
    if (!selectsWorkers(selector, known)) return [];
    const effect = rule.action === 'allow' ? 'this opens nothing' : 'this closes nothing more';
    return [problem(`${field}.to[${index}]`, `a worker receives nothing, so ${effect}`)];
  });
  const declared = declaredPorts(to, known);
  if (declared === undefined) return workers;
  const ports = rule.ports.flatMap((range, index) => {
    if (declared.some((port) => overlaps(port, range))) return [];
    return [problem(`${field}.ports[${index}]`, `${formatPortRange(range)} is declared by none of the services in to`)];
  });
  return [...workers, ...ports];
}

function selectsWorkers(selector: Selector | undefined, known: KnownNames): boolean {
  if (selector?.type === 'kind') return selector.name === 'worker';
  return selector?.type === 'service' && known.services.get(selector.name)?.kind === 'worker';
}

/** Ports of the services called, when `to` names them one by one and not only workers; wider selectors may grow. */
function declaredPorts(to: readonly (Selector | undefined)[], known: KnownNames): PortRange[] | undefined {
  const services = to.map((selector) => (selector?.type === 'service' ? known.services.get(selector.name) : undefined));
  if (services.every((service) => service?.kind === 'worker') || services.includes(undefined)) return undefined;
  return services.flatMap((service) => service?.ports ?? []);
}
