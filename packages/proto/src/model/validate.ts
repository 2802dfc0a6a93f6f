/** What makes a mesh valid. Errors refuse it; warnings are likely mistakes. Fields are named in the mesh file's words. */

import { plainRules } from '../policy/plain-rules.ts';
import { FormatError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { runnableProblem, runsNothing } from './may-run.ts';
import type { AgentSettings, Mesh, PolicyTest, PortRange, Rule, RulePorts, Service } from './mesh.ts';
import { hostNameProblem, ruleNameProblem, serviceNameProblem } from './names.ts';
import { callablePorts, formatRulePorts, overlaps } from './ports.ts';
import { type FieldProblem, problem, problemIf, quote } from './problem.ts';
import {
  type PortedSelector,
  parsePortedSelector,
  parseSelector,
  type Selector,
  selectorProblem,
  userOf,
} from './selector.ts';
import { checkRange, checkService, checkTags } from './validate-service.ts';

/** Past this many the list says nothing new, and would only grow the answer. */
const MAX_LISTED = 500;

interface Found {
  readonly errors: FieldProblem[];
  readonly warnings: FieldProblem[];
}

export interface Validation extends Found {
  /** Of all errors, of which those told are the first. */
  readonly count: number;
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
    ...mesh.agents.flatMap(checkAgent),
    ...rules.flatMap((rule) => rule.errors),
    ...mesh.tests.flatMap((test, index) => checkTest(test, `tests[${index}]`, known)),
  ];
  const warnings = [
    ...rules.flatMap((rule) => rule.warnings),
    ...mesh.agents.flatMap((agent) => idleRights(agent, mesh)),
  ];
  return { errors: errors.slice(0, MAX_LISTED), count: errors.length, warnings: warnings.slice(0, MAX_LISTED) };
}

function checkAgent({ name, tags, services }: AgentSettings): FieldProblem[] {
  const field = `agents.${name}`;
  const wrong = hostNameProblem(name);
  const { runnable: most } = LIMITS;
  return [
    ...problemIf(wrong !== undefined, field, `${quote(name)} is not a host name: ${wrong}`),
    ...checkTags(tags, field),
    ...problemIf(services.length > most, `${field}.services`, `${services.length} entries; expected at most ${most}`),
    ...services.flatMap((entry, index) => {
      const unfit = runnableProblem(entry);
      return unfit === undefined ? [] : [problem(`${field}.services[${index}]`, `${quote(entry)}: ${unfit}`)];
    }),
  ];
}

/** What a host is let run and nobody declares. */
function idleRights({ name, services }: AgentSettings, mesh: Mesh): FieldProblem[] {
  return services.flatMap((entry, index) => {
    const idle = runsNothing(entry, mesh);
    return idle === undefined
      ? []
      : [problem(`agents.${name}.services[${index}]`, `${idle}, so this lets nothing run`)];
  });
}

function checkBounds(mesh: Mesh): FieldProblem[] {
  const wrong = serviceNameProblem(mesh.network);
  return [
    ...problemIf(wrong !== undefined, 'network', `${quote(mesh.network)} is not a network name: ${wrong}`),
    ...(['services', 'policies', 'agents', 'tests'] as const).flatMap((list) => {
      const { length } = mesh[list];
      return problemIf(length > LIMITS[list], list, `${length} entries; expected at most ${LIMITS[list]}`);
    }),
    ...checkPlainRules(mesh.policies),
    ...checkAction(mesh.defaultAction, 'default'),
  ];
}

/** Agents are sent one for each port that a rule's `to` names. */
function checkPlainRules(rules: readonly Rule[]): FieldProblem[] {
  const { length } = rules.length > LIMITS.policies ? [] : plainRules(rules);
  const message = `${length} rules, counted once for each port named in to; expected at most ${LIMITS.policies}`;
  return problemIf(length > LIMITS.policies, 'policies', message);
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
  const ofUser = userOf(from) === undefined ? '' : ', which is then run by a user that no rule names';
  const nobody = `there is no caller ${quote(from)}; expected a service of this file, host:NAME or internet${ofUser}`;
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

function checkRule(rule: Rule, field: string, known: KnownNames): Found {
  const { name, ports } = rule;
  const wrong = ruleNameProblem(name);
  const found: Found = {
    errors: [
      ...problemIf(wrong !== undefined, `${field}.name`, `${quote(name)} is not a policy name: ${wrong}`),
      ...checkAction(rule.action, `${field}.action`),
    ],
    warnings: [],
  };
  const from = checkSelectors(rule, 'from', field, known, found);
  const to = checkSelectors(rule, 'to', field, known, found);
  const { rulePorts: most } = LIMITS;
  found.errors.push(
    ...problemIf(ports.length > most, `${field}.ports`, `${ports.length} entries; expected at most ${most}`),
    ...ports.flatMap((range, index) => checkRange(range, `${field}.ports[${index}]`)),
  );
  if (found.errors.length === 0) found.warnings.push(...idleParts(rule, from, to, field, known));
  return found;
}

/** A selector, and the ports of a service that it names beside it. */
interface Selected {
  readonly selector: Selector;
  readonly ports?: PortedSelector['ports'];
}

/** The selectors that can be read, undefined in the places of those that cannot. */
function checkSelectors(
  rule: Rule,
  side: 'from' | 'to',
  ruleField: string,
  known: KnownNames,
  found: Found,
): readonly (Selected | undefined)[] {
  const texts = rule[side];
  const field = `${ruleField}.${side}`;
  if (texts.length === 0 || texts.length > LIMITS.selectors) {
    found.errors.push(problem(field, `expected 1 to ${LIMITS.selectors} selectors; * selects everyone`));
    return [];
  }
  return texts.map((text, index) => {
    const at = `${field}[${index}]`;
    const read = parsed(text, side, at, found);
    if (read === undefined) return undefined;
    const { selector, ports } = read;
    const wrong = ports && rule.ports.length > 0 ? PORTS_TWICE : selectorProblem(selector, side);
    if (wrong !== undefined) found.errors.push(problem(at, wrong));
    if (selector.type === 'service' && !known.services.has(selector.name)) {
      found.errors.push(problem(at, noService(selector.name)));
    }
    const idle = selectsNothing(selector, side, known);
    if (idle !== undefined) found.warnings.push(problem(at, idle));
    return read;
  });
}

const PORTS_TWICE = 'names a port itself, and the rule has ports; expected one of the two';

/** Why nobody in the file is selected. Hosts are not looked for: the file need not name them. */
function selectsNothing(selector: Selector, side: 'from' | 'to', known: KnownNames): string | undefined {
  if (selector.type === 'kind' && !known.kinds.has(selector.name))
    return `there is no service of the kind ${selector.name}`;
  if (selector.type !== 'tag' || known.serviceTags.has(selector.name)) return undefined;
  const tag = quote(selector.name);
  if (!known.agentTags.has(selector.name)) return `no service and no agent carries the tag ${tag}`;
  return side === 'to' ? `no service carries the tag ${tag}, and agents receive nothing` : undefined;
}

function parsed(text: string, side: 'from' | 'to', field: string, found: Found): Selected | undefined {
  try {
    const ported = side === 'to' ? parsePortedSelector(text) : undefined;
    if (ported === undefined) return { selector: parseSelector(text, side) };
    return { selector: { type: 'service', name: ported.service }, ports: ported.ports };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    found.errors.push(problem(field, error.message));
    return undefined;
  }
}

/** Parts of a valid rule that no flow can ever meet. */
function idleParts(
  rule: Rule,
  from: readonly (Selected | undefined)[],
  to: readonly (Selected | undefined)[],
  field: string,
  known: KnownNames,
): FieldProblem[] {
  const opening = idleInternet(rule, from, to, field, known);
  const called = to.flatMap((selected, index) => idleCalled(rule, selected, `${field}.to[${index}]`, known));
  const declared = declaredPorts(to, known);
  const ports =
    declared === undefined
      ? []
      : rule.ports.flatMap((range, index) => {
          if (declared.some((port) => overlaps(port, range))) return [];
          return [
            problem(`${field}.ports[${index}]`, `${formatRulePorts(range)} is declared by none of the services in to`),
          ];
        });
  return [...opening, ...called, ...ports];
}

/** The internet reaches public ports, whatever a rule allows; and to close the others to it closes nothing. */
function idleInternet(
  rule: Rule,
  from: readonly (Selected | undefined)[],
  to: readonly (Selected | undefined)[],
  field: string,
  known: KnownNames,
): FieldProblem[] {
  const places = from.flatMap((selected, index) => (selected?.selector.type === 'internet' ? [index] : []));
  const shut = to.flatMap((selected, index) => (selected && isShut(selected, rule.ports, known) ? [index] : []));
  const isIdle = rule.action === 'allow' || shut.length === to.length;
  if (places.length === 0 || (!isIdle && places.length < from.length)) return [];
  const effect = rule.action === 'allow' ? 'opens nothing' : 'closes nothing';
  if (isIdle) {
    const message = `the internet reaches what is declared public and nothing else, so this ${effect}`;
    return places.map((index) => problem(`${field}.from[${index}]`, message));
  }
  return shut.map((index) => {
    const message = `${rule.to[index]} is not public, and the internet reaches nothing else, so this ${effect}`;
    return problem(`${field}.to[${index}]`, message);
  });
}

/** Whether the internet reaches nothing of it. What may come to have something public by the mesh alone is not shut. */
function isShut({ selector, ports }: Selected, ofRule: readonly RulePorts[], known: KnownNames): boolean {
  if (selector.type === 'kind') return selector.name !== 'web';
  const service = selector.type === 'service' ? known.services.get(selector.name) : undefined;
  // What a worker does not receive has a sentence of its own.
  if (service === undefined || service.kind === 'worker') return false;
  const port = service.public?.port;
  if (port === undefined) return true;
  const named = ports === undefined ? ofRule : [ports];
  return named.length > 0 && !named.some((one) => overlaps({ protocol: 'tcp', first: port, last: port }, one));
}

function idleCalled(rule: Rule, selected: Selected | undefined, field: string, known: KnownNames): FieldProblem[] {
  if (selected === undefined) return [];
  const { selector, ports } = selected;
  if (selectsWorkers(selector, known)) {
    const effect = rule.action === 'allow' ? 'this opens nothing' : 'this closes nothing more';
    return [problem(field, `a worker receives nothing, so ${effect}`)];
  }
  if (ports === undefined || selector.type !== 'service') return [];
  const declares = callable(known.services.get(selector.name))?.some((port) => overlaps(port, ports)) ?? true;
  return problemIf(!declares, field, `${selector.name} does not declare ${formatRulePorts(ports)}`);
}

function selectsWorkers(selector: Selector, known: KnownNames): boolean {
  if (selector.type === 'kind') return selector.name === 'worker' && known.kinds.has('worker');
  if (selector.type === 'tag') {
    const tagged = [...known.services.values()].filter(({ tags }) => tags.includes(selector.name));
    return tagged.length > 0 && tagged.every(({ kind }) => kind === 'worker');
  }
  return selector.type === 'service' && known.services.get(selector.name)?.kind === 'worker';
}

/** Ports of the services called, when `to` names them one by one and not only workers; wider selectors may grow. */
function declaredPorts(to: readonly (Selected | undefined)[], known: KnownNames): PortRange[] | undefined {
  const services = to.map((one) =>
    one?.selector.type === 'service' ? known.services.get(one.selector.name) : undefined,
  );
  if (services.every((service) => service?.kind === 'worker') || services.includes(undefined)) return undefined;
  return services.flatMap((service) => callable(service) ?? []);
}

function callable(service: Service | undefined): readonly PortRange[] | undefined {
  return service && callablePorts(service);
}
