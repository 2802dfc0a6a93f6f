/** What makes a mesh valid. Errors refuse it; warnings are likely mistakes. Fields are named in the mesh file's words. */
import { LIMITS } from './limits.ts';
import type { Mesh, PolicyTest, Service } from './mesh.ts';
import { hostNameProblem, serviceNameProblem } from './names.ts';
import { type FieldProblem, problem, quote } from './problem.ts';
import { checkRule, type KnownNames } from './validate-rule.ts';
import { checkService, checkTags } from './validate-service.ts';

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
    tags: new Set([...mesh.services, ...mesh.agents].flatMap((tagged) => tagged.tags)),
  };
  const rules = mesh.policies.map((rule, index) => checkRule(rule, `policies[${index}]`, known));
  const errors = [
    ...checkBounds(mesh),
    ...mesh.services.flatMap((service) => checkService(service)),
    ...checkUnique(mesh),
    ...checkPublicHosts(mesh.services),
    ...mesh.agents.flatMap(({ name, tags }) => {
      const wrong = hostNameProblem(name);
      const problems =
        wrong === undefined ? [] : [problem(`agents.${name}`, `${quote(name)} is not a host name: ${wrong}`)];
      return [...problems, ...checkTags(tags, `agents.${name}`)];
    }),
    ...rules.flatMap((rule) => rule.errors),
    ...mesh.tests.flatMap((test, index) => checkTest(test, `tests[${index}]`, known)),
  ];
  const warnings = rules.flatMap((rule) => rule.warnings);
  return { errors: errors.slice(0, MAX_LISTED), warnings: warnings.slice(0, MAX_LISTED) };
}

function checkBounds(mesh: Mesh): FieldProblem[] {
  const wrong = serviceNameProblem(mesh.network);
  const problems =
    wrong === undefined ? [] : [problem('network', `${quote(mesh.network)} is not a network name: ${wrong}`)];
  for (const list of ['services', 'policies', 'agents', 'tests'] as const) {
    if (mesh[list].length > LIMITS[list]) {
      problems.push(problem(list, `${mesh[list].length} entries; expected at most ${LIMITS[list]}`));
    }
  }
  if (mesh.defaultAction !== 'allow' && mesh.defaultAction !== 'deny') {
    problems.push(problem('default', 'expected allow or deny'));
  }
  return problems;
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
  const problems: FieldProblem[] = [];
  if (!isCaller(test.from, known)) {
    const message = `there is no caller ${quote(test.from)}; expected a service of this file, host:NAME or internet`;
    problems.push(problem(`${field}.from`, message));
  }
  if (!known.services.has(test.service)) {
    problems.push(problem(`${field}.to`, `there is no service ${quote(test.service)}; expected one of this file`));
  }
  if (!Number.isInteger(test.port) || test.port < 1 || test.port > 65_535) {
    problems.push(problem(`${field}.to`, `${test.port} is no port; expected 1 to 65535`));
  }
  if (test.expect !== 'allow' && test.expect !== 'deny') {
    problems.push(problem(`${field}.expect`, 'expected allow or deny'));
  }
  return problems;
}

function isCaller(text: string, known: KnownNames): boolean {
  if (text.startsWith('host:')) return hostNameProblem(text.slice('host:'.length)) === undefined;
  return text === 'internet' || known.services.has(text);
}
