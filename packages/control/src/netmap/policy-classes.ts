/**
 * Who may reach what on any port at all. Sources that the same rules speak about are one class, and so are services; the one
 * evaluator is asked once for each pair of classes, when first needed. A thousand services under a few rules are a few
 * classes, so a view never asks for a thousand times a thousand verdicts.
 */
import {
  callablePorts,
  compilePolicy,
  eachPort,
  entryOf,
  type Mesh,
  type Policy,
  type Protocol,
  plainRules,
  type Rule,
  RuleIndex,
  type Service,
  type Source,
  userOf,
} from '@weft/proto';
import { portSegments } from './port-segments.ts';

/** Sources alike to every rule. */
export interface SourceClass {
  readonly id: number;
  /** Indexes in the plain rules of the mesh of those that speak of it as the caller. */
  readonly rules: readonly number[];
  readonly example: Source;
}

/** Services alike to every rule, and alike in the ports that rules tell apart. */
export interface ServiceClass {
  readonly id: number;
  /** Indexes in the plain rules of the mesh of those that speak of it as the one called. */
  readonly rules: readonly number[];
  readonly example: Service;
}

/** What a list of services that hosts may run comes to; many hosts have the same. */
export interface Right {
  /** Those that are declared. */
  readonly scope: readonly string[];
  readonly services: readonly Service[];
  /** What any of them is as a caller. */
  readonly callers: readonly SourceClass[];
  /** Indexes of the rules that speak of any of them, as caller or as the one called. */
  readonly rules: readonly number[];
}

const INTERNET: Source = { type: 'internet' };

export class PolicyClasses {
  readonly #mesh: Mesh;
  /** Those that agents are sent. */
  readonly #rules: readonly Rule[];
  readonly #policy: Policy;
  readonly #index: RuleIndex;
  readonly #services = new Map<string, Service>();
  readonly #tags = new Map<string, readonly string[]>();
  readonly #sourceClasses = new Map<string, SourceClass>();
  readonly #serviceClasses = new Map<string, ServiceClass>();
  readonly #ofService = new Map<string, SourceClass>();
  readonly #ofCalled = new Map<string, ServiceClass>();
  readonly #permitted = new Map<string, boolean>();
  readonly #rights = new WeakMap<readonly string[], Right>();
  /** What rules that deny say of callers. */
  readonly #denied: ReadonlySet<string>;
  /** That rules name, and one that none does. */
  readonly #users: readonly string[];
  #internet: SourceClass | undefined;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    this.#policy = compilePolicy({ revision: 0, defaultAction: mesh.defaultAction, rules: mesh.policies });
    this.#rules = plainRules(mesh.policies);
    this.#index = new RuleIndex(this.#rules);
    this.#denied = new Set(mesh.policies.flatMap(({ action, from }) => (action === 'deny' ? from : [])));
    const named = mesh.policies.flatMap(({ from }) => from.flatMap((text) => userOf(text) ?? []));
    this.#users = ['', ...new Set(named)];
    for (const service of mesh.services) this.#services.set(service.name, service);
    for (const agent of mesh.agents) this.#tags.set(agent.name, agent.tags);
  }

  hostTags(host: string): readonly string[] {
    return this.#tags.get(host) ?? NO_TAGS;
  }

  /** The class of a declared service as a caller. */
  callerService(name: string): SourceClass {
    return entryOf(this.#ofService, name, () => this.#sourceClass({ type: 'service', service: this.#declared(name) }));
  }

  /** `mayRun`: names of services, declared or not. Worked out once for each list. */
  right(mayRun: readonly string[]): Right {
    return entryOf(this.#rights, mayRun, () => {
      const scope = mayRun.filter((name) => this.#services.has(name));
      const callers = [...new Set(scope.map((name) => this.callerService(name)))];
      const called = new Set(scope.map((name) => this.called(name)));
      const rules = new Set([...callers, ...called].flatMap((one) => one.rules));
      return { scope, services: scope.map((name) => this.#declared(name)), callers, rules: [...rules] };
    });
  }

  callerHost(name: string, { services }: Pick<Right, 'services'>): SourceClass {
    // Not remembered by name: short-lived hosts come and go while a mesh stays.
    return this.#sourceClass({ type: 'host', name, tags: this.hostTags(name), services });
  }

  callerInternet(): SourceClass {
    this.#internet ??= this.#sourceClass(INTERNET);
    return this.#internet;
  }

  /** Whether a rule that denies speaks of the declared service by one of its tags. */
  isDeniedByTag(name: string): boolean {
    return this.#declared(name).tags.some((tag) => this.#denied.has(`tag:${tag}`));
  }

  /** The class of a declared service as the one called. */
  called(name: string): ServiceClass {
    return entryOf(this.#ofCalled, name, () => this.#serviceClass(this.#declared(name)));
  }

  /** Whether any flow from the one to the other is permitted. */
  permits(source: SourceClass, service: ServiceClass): boolean {
    return entryOf(this.#permitted, `${source.id}>${service.id}`, () => this.#decide(source, service));
  }

  #decide(source: SourceClass, { rules, example }: ServiceClass): boolean {
    const ask = (port: number, protocol: 'tcp' | 'udp'): boolean =>
      this.#users.some(
        (user) => this.#policy.decide(source.example, { service: example, port, protocol }, user).allowed,
      );
    if (example.kind === 'worker') return false;
    if (source.example.type === 'internet') return example.public !== undefined && ask(example.public.port, 'tcp');
    const oneIsLikeAll = !this.#tellPortsApart(rules);
    const ports = example.autoPorts === true ? this.#onePortOfEach(example, rules) : eachPort(example.ports);
    for (const { port, protocol } of ports) {
      if (ask(port, protocol)) return true;
      if (oneIsLikeAll) return false;
    }
    return false;
  }

  /** Of a service of any port, one of each piece within which no rule tells one from another. */
  #onePortOfEach(service: Service, rules: readonly number[]): { readonly port: number; readonly protocol: Protocol }[] {
    const about = rules.flatMap((index) => this.#rules[index] ?? []);
    return portSegments(service, about).map(({ protocol, first }) => ({ protocol, port: first }));
  }

  #sourceClass(source: Source): SourceClass {
    // A process of any user may call from anywhere.
    const users = source.type === 'internet' ? [] : this.#index.ofUsers();
    const rules = [...new Set([...this.#index.from(source), ...users])].sort((one, other) => one - other);
    return entryOf(this.#sourceClasses, `${source.type} ${rules.join()}`, () => ({
      id: this.#sourceClasses.size,
      rules,
      example: source,
    }));
  }

  #serviceClass(service: Service): ServiceClass {
    const rules = this.#index.to(service);
    const ports = this.#tellPortsApart(rules)
      ? [
          ...callablePorts(service).map(({ protocol, first, last }) => `${protocol}${first}-${last}`),
          service.public?.port,
        ]
      : [callablePorts(service).length > 0, service.public !== undefined];
    return entryOf(this.#serviceClasses, `${service.kind} ${rules.join()} ${ports.join()}`, () => ({
      id: this.#serviceClasses.size,
      rules,
      example: service,
    }));
  }

  #tellPortsApart(rules: readonly number[]): boolean {
    return rules.some((index) => (this.#rules[index]?.ports.length ?? 0) > 0);
  }

  #declared(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw new RangeError(`${name} is not declared in network ${this.#mesh.network}`);
    return service;
  }
}

const NO_TAGS: readonly string[] = [];
