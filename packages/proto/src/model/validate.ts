/** What makes a mesh valid. Errors refuse it; warnings are likely mistakes. Fields are named in the mesh file's words. */
import { FormatError } from './errors.ts';
import type { Mesh, PolicyTest, PortRange, Rule, Service } from './mesh.ts';
import { hostNameProblem, publicHostProblem, ruleNameProblem, serviceNameProblem, tagProblem } from './names.ts';
import { countPorts, formatPortRange, includesPort, MAX_SERVICE_PORTS, overlaps } from './ports.ts';
import { type FieldProblem, problem } from './problem.ts';
import { isKind, parseSelector, type Selector } from './selector.ts';

/** Bounds that keep one mesh from costing every agent without limit. */
export const LIMITS = {
  services: 5_000,
  policies: 10_000,
  agents: 10_000,
  tests: 10_000,
  tags: 32,
  selectors: 256,
  rulePorts: 256,
  publicHosts: 100,
} as const;

/** Problems past this many of a sort are not listed: the first ones say enough. */
const MAX_PROBLEMS = 500;

export interface Validation {
  readonly errors: FieldProblem[];
  readonly warnings: FieldProblem[];
}

/** Checks a mesh whole. Its tests' names are checked here; their verdicts by runPolicyTests. */
export function validateMesh(mesh: Mesh): Validation {
  const known = new Known(mesh);
  const errors = [...checkNetwork(mesh)];
  const warnings: FieldProblem[] = [];
  checkServices(mesh, errors);
  checkAgents(mesh, errors);
  checkPolicies(mesh, known, errors, warnings);
  checkTests(mesh, known, errors);
  return { errors: errors.slice(0, MAX_PROBLEMS), warnings: warnings.slice(0, MAX_PROBLEMS) };
}

/** What selectors may refer to. */
class Known {
  readonly services: ReadonlyMap<string, Service>;
  readonly tags: ReadonlySet<string>;

  constructor(mesh: Mesh) {
    this.services = new Map(mesh.services.map((service) => [service.name, service]));
    this.tags = new Set([...mesh.services, ...mesh.agents].flatMap((tagged) => tagged.tags));
  }
}

function checkNetwork(mesh: Mesh): FieldProblem[] {
  const wrong = serviceNameProblem(mesh.network);
  const problems = wrong === undefined ? [] : [problem('network', `${quote(mesh.network)}: ${wrong}`)];
  for (const list of ['services', 'policies', 'agents', 'tests'] as const) {
    if (mesh[list].length > LIMITS[list]) {
      problems.push(problem(list, `${mesh[list].length} entries; expected at most ${LIMITS[list]}`));
    }
  }
  return problems;
}

function checkServices(mesh: Mesh, errors: FieldProblem[]): void {
  const names = new Set<string>();
  const hosts = new Map<string, string>();
  for (const service of mesh.services) {
    const field = `services.${service.name}`;
    if (names.has(service.name)) errors.push(problem(field, 'declared twice; expected each name once'));
    names.add(service.name);
    errors.push(...checkService(service));
    service.public?.hosts.forEach((host, index) => {
      const owner = hosts.get(host.toLowerCase());
      if (owner !== undefined) {
        errors.push(problem(`${field}.public.hosts[${index}]`, `${quote(host)} already leads to ${owner}; expected each host once`));
      }
      hosts.set(host.toLowerCase(), service.name);
    });
  }
}

/** What is wrong with one service by itself. */
export function checkService(service: Service): FieldProblem[] {
  const field = `services.${service.name}`;
  const problems: FieldProblem[] = [];
  const wrong = serviceNameProblem(service.name);
  if (wrong !== undefined) problems.push(problem(field, `${quote(service.name)} is not a service name: ${wrong}`));
  if (!isKind(service.kind)) problems.push(problem(`${field}.kind`, 'expected web, private or worker'));
  problems.push(...checkTags(service.tags, field));
  if (service.kind === 'worker') {
    if (service.ports.length > 0) {
      problems.push(problem(`${field}.ports`, 'a worker receives nothing; expected no ports, or kind private'));
    }
    if (service.public !== undefined) {
      problems.push(problem(`${field}.public`, 'a worker receives nothing; expected no public, or kind web'));
    }
    return problems;
  }
  if (service.ports.length === 0) {
    problems.push(problem(`${field}.ports`, 'expected at least one port; a service that receives nothing is a worker'));
  }
  problems.push(...checkPorts(service.ports, `${field}.ports`), ...checkPublic(service, field));
  return problems;
}

function checkPorts(ports: readonly PortRange[], field: string): FieldProblem[] {
  const problems = ports.flatMap((range, index) => checkRange(range, `${field}[${index}]`));
  if (problems.length > 0) return problems;
  const total = countPorts(ports);
  if (total > MAX_SERVICE_PORTS) return [problem(field, `${total} ports; expected at most ${MAX_SERVICE_PORTS}`)];
  ports.forEach((range, index) => {
    const earlier = ports.slice(0, index).find((other) => overlaps(range, other));
    if (earlier === undefined) return;
    problems.push(
      problem(`${field}[${index}]`, `${formatPortRange(range)} overlaps ${formatPortRange(earlier)}; expected each port once`),
    );
  });
  return problems;
}

function checkRange(range: PortRange, field: string): FieldProblem[] {
  const whole = Number.isInteger(range.first) && Number.isInteger(range.last);
  if (whole && range.first >= 1 && range.first <= range.last && range.last <= 65_535) return [];
  return [problem(field, `${range.first}-${range.last} is no range; expected ports from 1 to 65535, lowest first`)];
}

function checkPublic(service: Service, serviceField: string): FieldProblem[] {
  const ingress = service.public;
  if (ingress === undefined) return [];
  const field = `${serviceField}.public`;
  if (service.kind !== 'web') return [problem(field, `only a web service is reached from the internet; this one is ${service.kind}`)];
  const problems: FieldProblem[] = [];
  if (!includesPort(service.ports, ingress.port, 'tcp')) {
    problems.push(problem(`${field}.port`, `${ingress.port} is not among the service's TCP ports; expected one of them`));
  }
  if (ingress.hosts.length === 0 || ingress.hosts.length > LIMITS.publicHosts) {
    problems.push(problem(`${field}.hosts`, `expected 1 to ${LIMITS.publicHosts} host names; a gateway routes by them`));
  }
  ingress.hosts.slice(0, LIMITS.publicHosts).forEach((host, index) => {
    const wrong = publicHostProblem(host);
    if (wrong !== undefined) problems.push(problem(`${field}.hosts[${index}]`, `${quote(host)}: ${wrong}`));
  });
  return problems;
}

function checkTags(tags: readonly string[], field: string): FieldProblem[] {
  if (tags.length > LIMITS.tags) return [problem(`${field}.tags`, `${tags.length} tags; expected at most ${LIMITS.tags}`)];
  return tags.flatMap((tag, index) => {
    const wrong = tags.indexOf(tag) < index ? 'given twice; expected each tag once' : tagProblem(tag);
    return wrong === undefined ? [] : [problem(`${field}.tags[${index}]`, `${quote(tag)}: ${wrong}`)];
  });
}

function checkAgents(mesh: Mesh, errors: FieldProblem[]): void {
  const names = new Set<string>();
  for (const agent of mesh.agents) {
    const field = `agents.${agent.name}`;
    const wrong = hostNameProblem(agent.name);
    if (wrong !== undefined) errors.push(problem(field, `${quote(agent.name)} is not a host name: ${wrong}`));
    if (names.has(agent.name)) errors.push(problem(field, 'given twice; expected each host once'));
    names.add(agent.name);
    errors.push(...checkTags(agent.tags, field));
  }
}

function checkPolicies(mesh: Mesh, known: Known, errors: FieldProblem[], warnings: FieldProblem[]): void {
  const names = new Set<string>();
  mesh.policies.forEach((rule, index) => {
    const field = `policies[${index}]`;
    const wrong = names.has(rule.name) ? 'used by an earlier policy; expected each name once' : ruleNameProblem(rule.name);
    if (wrong !== undefined) errors.push(problem(`${field}.name`, `${quote(rule.name)}: ${wrong}`));
    names.add(rule.name);
    checkRule(rule, field, known, errors, warnings);
  });
}

function checkRule(rule: Rule, field: string, known: Known, errors: FieldProblem[], warnings: FieldProblem[]): void {
  const before = errors.length;
  if (rule.action !== 'allow' && rule.action !== 'deny') errors.push(problem(`${field}.action`, 'expected allow or deny'));
  checkSelectors(rule.from, `${field}.from`, 'from', known, errors, warnings);
  const to = checkSelectors(rule.to, `${field}.to`, 'to', known, errors, warnings);
  if (rule.ports.length > LIMITS.rulePorts) {
    errors.push(problem(`${field}.ports`, `${rule.ports.length} entries; expected at most ${LIMITS.rulePorts}`));
  }
  errors.push(...rule.ports.flatMap((range, index) => checkRange(range, `${field}.ports[${index}]`)));
  if (errors.length > before) return;

  const called = to.every((selector) => selector.type === 'service')
    ? to.flatMap((selector) => (selector.type === 'service' ? (known.services.get(selector.name) ?? []) : []))
    : undefined;
  to.forEach((selector, index) => {
    const worker =
      (selector.type === 'kind' && selector.kind === 'worker') ||
      (selector.type === 'service' && known.services.get(selector.name)?.kind === 'worker');
    if (!worker) return;
    const effect = rule.action === 'allow' ? 'this opens nothing' : 'this is so without a rule';
    warnings.push(problem(`${field}.to[${index}]`, `a worker receives nothing, so ${effect}`));
  });
  if (called === undefined || called.every((service) => service.kind === 'worker')) return;
  rule.ports.forEach((range, index) => {
    if (called.some((service) => service.ports.some((declared) => overlaps(declared, range)))) return;
    const names = called.map((service) => service.name).join(', ');
    warnings.push(problem(`${field}.ports[${index}]`, `${formatPortRange(range)} is declared by none of ${names}`));
  });
}

function checkSelectors(
  texts: readonly string[],
  field: string,
  side: 'from' | 'to',
  known: Known,
  errors: FieldProblem[],
  warnings: FieldProblem[],
): Selector[] {
  if (texts.length === 0 || texts.length > LIMITS.selectors) {
    errors.push(problem(field, `expected 1 to ${LIMITS.selectors} selectors; * selects everyone`));
    return [];
  }
  return texts.flatMap((text, index) => {
    const at = `${field}[${index}]`;
    let selector: Selector;
    try {
      selector = parseSelector(text);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      errors.push(problem(at, error.message));
      return [];
    }
    if (selector.type === 'service' && !known.services.has(selector.name)) {
      errors.push(problem(at, `there is no service ${selector.name}; expected one of this file's`));
    }
    if (selector.type === 'host' && side === 'to') {
      errors.push(problem(at, 'a host receives nothing by itself; expected a service name, kind:KIND, tag:NAME or *'));
    }
    if (selector.type === 'tag' && !known.tags.has(selector.name)) {
      warnings.push(problem(at, `no service and no agent carries the tag ${selector.name}`));
    }
    return [selector];
  });
}

function checkTests(mesh: Mesh, known: Known, errors: FieldProblem[]): void {
  mesh.tests.forEach((test: PolicyTest, index) => {
    const field = `tests[${index}]`;
    const host = test.from.startsWith('host:') ? hostNameProblem(test.from.slice('host:'.length)) : undefined;
    if (host !== undefined) errors.push(problem(`${field}.from`, `${quote(test.from)}: ${host}`));
    if (!test.from.startsWith('host:') && test.from !== 'internet' && !known.services.has(test.from)) {
      errors.push(problem(`${field}.from`, `there is no service ${quote(test.from)}; expected a service, host:NAME or internet`));
    }
    if (!known.services.has(test.service)) {
      errors.push(problem(`${field}.to`, `there is no service ${quote(test.service)}; expected one of this file's`));
    }
    if (!Number.isInteger(test.port) || test.port < 1 || test.port > 65_535) {
      errors.push(problem(`${field}.to`, `${test.port} is no port; expected 1 to 65535`));
    }
    if (test.expect !== 'allow' && test.expect !== 'deny') errors.push(problem(`${field}.expect`, 'expected allow or deny'));
  });
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
