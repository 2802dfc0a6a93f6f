/** What makes a mesh valid. Errors refuse it; warnings are likely mistakes. Fields are named in the mesh file's words. */

import { FormatError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Mesh, PolicyTest, PortRange, Rule, Service } from './mesh.ts';
import { hostNameProblem, ruleNameProblem, serviceNameProblem } from './names.ts';
import { formatRulePorts, overlaps } from './ports.ts';
import { type FieldProblem, problem, problemIf, quote } from './problem.ts';
import { parseSelector, type Selector, selectorProblem } from './selector.ts';
import { checkRange, checkService, checkTags } from './validate-service.ts';

/** Past this many the list says nothing new, and would only grow the answer. */
const MAX_LISTED = 500;

export interface Validation {
  readonly errors: FieldProblem[];
  readonly warnings: FieldProblem[];
}

/** Checks a mesh whole. The names in its tests are checked here, their verdicts by runPolicyTests. */
export function validateMesh(mesh: Mesh): Validation {
  const known: KnownNames = {
    services: new Map(mesh.services.map((service) => [service.name, service])),
    kinds: new Set(mesh.services.map(({ kind }) => kind)),
    serviceTags: new Set(mesh.services.flatMap(({ tags }) => tags)),
    agentTags: new Set(mesh.agents.flatMap(({ tags }) => tags)),
  };
  const rules = mesh.policies.map((rule, index) => checkRule(rule, `policies[${index}]`, known));
  const errors = [
    ...checkBounds(mesh),
    ...mesh.services.flatMap((service) => checkService(service)),
    ...checkUnique(mesh),
    ...checkPublicHosts(mesh.services),
    ...mesh.agents.flatMap(({ name, tags }) => {
      const wrong = hostNameProblem(name);
      return [
        ...problemIf(wrong !== undefined, `agents.${name}`, `${quote(name)} is not a host name: ${wrong}`),
        ...checkTags(tags, `agents.${name}`),
      ];
    }),
    ...rules.flatMap((rule) => rule.errors),
    ...mesh.tests.flatMap((test, index) => checkTest(test, `tests[${index}]`, known)),
  ];
  const warnings = rules.flatMap((rule) => rule.warnings);
  return { errors: errors.slice(0, MAX_LISTED), warnings: warnings.slice(0, MAX_LISTED) };
}

function checkBounds(mesh: Mesh): FieldProblem[] {
  const wrong = serviceNameProblem(mesh.network);
  return [
    ...problemIf(wrong !== undefined, 'network', `${quote(mesh.network)} is not a network name: ${wrong}`),
    ...(['services', 'policies', 'agents', 'tests'] as const).flatMap((list) => {
      const { length } = mesh[list];
      return problemIf(length > LIMITS[list], list, `${length} entries; expected at most ${LIMITS[list]}`);
    }),
    ...checkAction(mesh.defaultAction, 'default'),
  ];
}

function checkAction(action: string, field: string): FieldProblem[] {
  return problemIf(action !== 'allow' && action !== 'deny', field, 'expected allow or deny');
}

function checkUnique(mesh: Mesh): FieldProblem[] {
  return [
    ...repeated(mesh.services, ({ name }) => problem(`services.${name}`, 'declared twice; expected each name once')),
    ...repeated(mesh.policies, ({ name }, index) => {
      return problem(`policies[${index}].name`, `${quote(name)} is used by an earlier policy; expected each name once`);
    }),
    ...repeated(mesh.agents, ({ name }) => problem(`agents.${name}`, 'given twice; expected each host once')),
  ];
}

function repeated<T extends { readonly name: string }>(
  items: readonly T[],
  complain: (item: T, index: number) => FieldProblem,
): FieldProblem[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    if (seen.has(item.name)) return [complain(item, index)];
    seen.add(item.name);
    return [];
  });
}

/** A gateway routes by host alone, so one host leads to one service in the whole network. */
function checkPublicHosts(services: readonly Service[]): FieldProblem[] {
  const owners = new Map<string, string>();
  return services.flatMap(({ name, public: ingress }) =>
    (ingress?.hosts ?? []).flatMap((host, index) => {
      const owner = owners.get(host.toLowerCase());
      owners.set(host.toLowerCase(), owner ?? name);
      if (owner === undefined) return [];
      const message = `${quote(host)} already leads to ${owner}; expected each host once in the network`;
      return [problem(`services.${name}.public.hosts[${index}]`, message)];
    }),
  );
}

function checkTest(test: PolicyTest, field: string, known: KnownNames): FieldProblem[] {
  const { from, service, port, expect } = test;
  const nobody = `there is no caller ${quote(from)}; expected a service of this file, host:NAME or internet`;
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535;
  return [
    ...problemIf(!isCaller(from, known), `${field}.from`, nobody),
    ...problemIf(!known.services.has(service), `${field}.to`, noService(service)),
    ...problemIf(!isPort, `${field}.to`, `${port} is no port; expected 1 to 65535`),
    ...checkAction(expect, `${field}.expect`),
  ];
}

function noService(name: string): string {
  return `there is no service ${quote(name)}; expected one of this file`;
}

function isCaller(text: string, known: KnownNames): boolean {
  if (text.startsWith('host:')) return hostNameProblem(text.slice('host:'.length)) === undefined;
  return text === 'internet' || known.services.has(text);
}

/** What selectors may refer to. */
interface KnownNames {
  readonly services: ReadonlyMap<string, Service>;
  readonly kinds: ReadonlySet<string>;
  readonly serviceTags: ReadonlySet<string>;
  readonly agentTags: ReadonlySet<string>;
}

function checkRule(rule: Rule, field: string, known: KnownNames): Validation {
  const { name, ports } = rule;
  const wrong = ruleNameProblem(name);
  const found: Validation = {
    errors: [
      ...problemIf(wrong !== undefined, `${field}.name`, `${quote(name)} is not a policy name: ${wrong}`),
      ...checkAction(rule.action, `${field}.action`),
    ],
    warnings: [],
  };
  checkSelectors(rule, 'from', field, known, found);
  const to = checkSelectors(rule, 'to', field, known, found);
  const { rulePorts: most } = LIMITS;
  found.errors.push(
    ...problemIf(ports.length > most, `${field}.ports`, `${ports.length} entries; expected at most ${most}`),
    ...ports.flatMap((range, index) => checkRange(range, `${field}.ports[${index}]`)),
  );
  if (found.errors.length === 0) found.warnings.push(...idleParts(rule, to, field, known));
  return found;
}

/** The selectors that can be read, undefined in the places of those that cannot. */
function checkSelectors(
  rule: Rule,
  side: 'from' | 'to',
  ruleField: string,
  known: KnownNames,
  found: Validation,
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
      found.errors.push(problem(at, noService(selector.name)));
    }
    const idle = selector && selectsNothing(selector, side, known);
    if (idle !== undefined) found.warnings.push(problem(at, idle));
    return selector;
  });
}

/** Why nobody in the file is selected. Hosts are not looked for: the file need not name them. */
function selectsNothing(selector: Selector, side: 'from' | 'to', known: KnownNames): string | undefined {
  if (selector.type === 'kind' && !known.kinds.has(selector.name))
    return `there is no service of the kind ${selector.name}`;
  if (selector.type !== 'tag' || known.serviceTags.has(selector.name)) return undefined;
  const tag = quote(selector.name);
  if (!known.agentTags.has(selector.name)) return `no service and no agent carries the tag ${tag}`;
  return side === 'to' ? `no service carries the tag ${tag}, and agents receive nothing` : undefined;
}

function readSelector(text: string, field: string, found: Validation): Selector | undefined {
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
    return [problem(`${field}.ports[${index}]`, `${formatRulePorts(range)} is declared by none of the services in to`)];
  });
  return [...workers, ...ports];
}

function selectsWorkers(selector: Selector | undefined, known: KnownNames): boolean {
  if (selector?.type === 'kind') return selector.name === 'worker' && known.kinds.has('worker');
  return selector?.type === 'service' && known.services.get(selector.name)?.kind === 'worker';
}

/** Ports of the services called, when `to` names them one by one and not only workers; wider selectors may grow. */
function declaredPorts(to: readonly (Selector | undefined)[], known: KnownNames): PortRange[] | undefined {
  const services = to.map((selector) => (selector?.type === 'service' ? known.services.get(selector.name) : undefined));
  if (services.every((service) => service?.kind === 'worker') || services.includes(undefined)) return undefined;
  return services.flatMap((service) => service?.ports ?? []);
}
