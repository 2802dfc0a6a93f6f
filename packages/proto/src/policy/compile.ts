/**
 * The one policy evaluator. Rules are numbered with the denies first, each group in file order, so the lowest-numbered
 * rule that matches decides: an explicit deny beats an explicit allow, and of several denies the first in the file answers.
 * A party is turned once into a bit per rule, "this rule selects me"; deciding is an AND of two such masks, at the words
 * where the destination has any. What a verdict says in words is made for whoever reads it.
 */
import { rightsIn } from '../model/may-run.ts';
import type { Action, Mesh, Rule } from '../model/mesh.ts';
import { includesPort } from '../model/ports.ts';
import { type FieldProblem, problem } from '../model/problem.ts';
import { findService, type MayRun, resolveSource, selectorsOfSource, sourceName, userOf } from '../model/selector.ts';
import { plainRules } from './plain-rules.ts';
import { firstInBoth, RuleMasks } from './rule-index.ts';
import type { CallerUser, Denied, Destination, Permit, Policy, Source, Verdict } from './types.ts';

export interface PolicyRules {
  readonly revision: number;
  readonly defaultAction: Action;
  /** Valid rules, in file order. A selector that selects nobody here is harmless. */
  readonly rules: readonly Rule[];
}

/** Compiles the rules once. `decide` never throws, and is told all it needs of both parties in the call. */
export function compilePolicy({ revision, defaultAction, rules }: PolicyRules): Policy {
  const plain = plainRules(rules);
  const denies = plain.filter((rule) => rule.action === 'deny');
  const ordered = [...denies, ...plain.filter((rule) => rule.action === 'allow')];
  const masks = new RuleMasks(ordered);

  function decide(source: Source, destination: Destination, user: CallerUser): Verdict {
    const { service, port, protocol } = destination;
    const called = (): string => `${service.name}:${port}/${protocol}`;
    if (service.kind === 'worker') {
      const reason = (): string => `${service.name} is a worker, and a worker receives nothing`;
      return denied(source, destination, 'builtin:worker', revision, reason);
    }
    if (service.autoPorts !== true && !includesPort(service.ports, port, protocol)) {
      const reason = (): string => `${service.name} does not declare port ${port}/${protocol}`;
      return denied(source, destination, 'builtin:undeclared-port', revision, reason);
    }
    const internet = source.type === 'internet';
    if (internet && (service.kind !== 'web' || protocol !== 'tcp' || service.public?.port !== port)) {
      const reason = (): string => `the internet reaches only a web service's public port, and ${called()} is none`;
      return denied(source, destination, 'builtin:ingress', revision, reason);
    }

    const rule =
      ordered[
        firstInBoth(masks.source(source), masks.destination(destination), internet ? undefined : masks.user(user))
      ];
    if (rule?.action === 'deny') {
      const reason = (): string =>
        `policy ${rule.name} denies ${sourceName(source)}${asOneOf(source, rule, user)} to ${called()}`;
      return denied(source, destination, rule.name, revision, reason);
    }
    // A public port is open to the internet by its declaration; an allow rule or the default adds nothing to that.
    if (internet)
      return permit(source, destination, 'builtin:ingress', revision, () => `${called()} is declared public`);
    const flow = (): string => `${sourceName(source)} to ${called()}`;
    if (rule !== undefined) {
      return permit(source, destination, rule.name, revision, () => `policy ${rule.name} allows ${flow()}`);
    }
    const reason = (): string => `no policy is about ${flow()}, and the default is ${defaultAction}`;
    return defaultAction === 'allow'
      ? permit(source, destination, 'default', revision, reason)
      : denied(source, destination, 'default', revision, reason);
  }

  function asksUser(destination: Destination): boolean {
    return masks.users !== undefined && firstInBoth(masks.users, masks.destination(destination)) !== -1;
  }

  function usersAsked(destination: Destination): string[] {
    const about = masks.destination(destination);
    return [...masks.named].flatMap(([name, mask]) => (firstInBoth(mask, about) === -1 ? [] : [name]));
  }

  return { revision, decide, asksUser, usersAsked };
}

/** Why a rule that denies holds for who calls, where it is not about it by its words alone. */
function asOneOf(source: Source, { from }: Rule, user: CallerUser): string {
  const named = new Set(from);
  const isNamed = (text: string): boolean => named.has(text);
  if (source.type === 'internet' || selectorsOfSource(source).some(isNamed)) return '';
  if (user !== null && named.has(`user:${user}`)) return `, run by user ${user},`;
  if (user === null && from.some((text) => userOf(text) !== undefined)) return ', whose user is not known,';
  if (source.type !== 'host') return '';
  const service = source.services.find((one) => selectorsOfSource({ type: 'service', service: one }).some(isNamed));
  return service === undefined ? '' : `, which may be ${service.name},`;
}

class Decided {
  readonly allowed: boolean;
  readonly source: Source;
  readonly destination: Destination;
  readonly rule: string;
  readonly revision: number;
  readonly #reason: () => string;

  constructor(
    allowed: boolean,
    source: Source,
    destination: Destination,
    rule: string,
    revision: number,
    reason: () => string,
  ) {
    this.allowed = allowed;
    this.source = source;
    this.destination = destination;
    this.rule = rule;
    this.revision = revision;
    this.#reason = reason;
  }

  /** Made when it is read: nearly all verdicts are asked for what they say alone. */
  get reason(): string {
    return this.#reason();
  }
}

/** Not exported: a Permit comes out of a policy or not at all. */
function permit(
  source: Source,
  destination: Destination,
  rule: string,
  revision: number,
  reason: () => string,
): Permit {
  return new Decided(true, source, destination, rule, revision, reason) as unknown as Permit;
}

function denied(
  source: Source,
  destination: Destination,
  rule: string,
  revision: number,
  reason: () => string,
): Denied {
  return new Decided(false, source, destination, rule, revision, reason) as Denied;
}

/**
 * Runs the tests of a valid mesh; one problem for each that comes out otherwise than expected. Without `mayRun`, as where no
 * host is known, a host may run what the mesh itself says.
 */
export function runPolicyTests(mesh: Mesh, policy?: Policy, mayRun: MayRun = bySayingOf(mesh)): FieldProblem[] {
  const evaluator = policy ?? compilePolicy({ revision: 0, defaultAction: mesh.defaultAction, rules: mesh.policies });
  return mesh.tests.flatMap((test, index) => {
    const source = resolveSource(test.from, mesh, mayRun);
    const service = findService(mesh, test.service);
    if (source === undefined) return [problem(`tests[${index}].from`, `there is no caller ${test.from}`)];
    if (service === undefined) return [problem(`tests[${index}].to`, `there is no service ${test.service}`)];
    const verdict = evaluator.decide(source, { service, port: test.port, protocol: test.protocol }, '');
    const got = verdict.allowed ? 'allow' : 'deny';
    if (got === test.expect) return [];
    return [problem(`tests[${index}]`, `expected ${test.expect}, got ${got} by ${verdict.rule}: ${verdict.reason}`)];
  });
}

function bySayingOf(mesh: Mesh): MayRun {
  const rightOf = rightsIn(mesh);
  return (host) => rightOf(host, []);
}
