/**
 * The one policy evaluator. Rules are numbered with the denies first, each group in file order, so the lowest-numbered
 * rule that matches decides: an explicit deny beats an explicit allow, and several denies always answer with the same one.
 *
 * A party (a service, a host) is turned once into a bit per rule, "this rule's `from` (or `to`) selects me"; deciding is an
 * AND of two such masks, a word of 32 rules at a time. The masks are kept per object and go away with it.
 */
import type { Action, PortRange, Rule, Service } from '../model/mesh.ts';
import { includesPort } from '../model/ports.ts';
import { type Denied, type Destination, type Permit, type Policy, type Source, sourceName, type Verdict } from './types.ts';

export interface PolicyRules {
  readonly revision: number;
  readonly defaultAction: Action;
  /** Valid rules, in file order. A selector that selects nobody here is harmless. */
  readonly rules: readonly Rule[];
}

interface CompiledRule {
  readonly name: string;
  readonly action: Action;
  readonly ports: readonly PortRange[];
}

/** Numbers of the rules that name a selector, by its text. */
type SelectorIndex = ReadonlyMap<string, readonly number[]>;
type Mask = Uint32Array;

/** Compiles the rules once; `decide` never throws and never looks back at them. */
export function compilePolicy({ revision, defaultAction, rules }: PolicyRules): Policy {
  const ordered = [...rules.filter((rule) => rule.action === 'deny'), ...rules.filter((rule) => rule.action === 'allow')];
  const compiled = ordered.map(({ name, action, ports }): CompiledRule => ({ name, action, ports }));
  const denies = rules.length - rules.filter((rule) => rule.action === 'allow').length;
  const from = indexSelectors(ordered.map((rule) => rule.from));
  const to = indexSelectors(ordered.map((rule) => rule.to));
  const words = Math.ceil(ordered.length / 32);
  const internet = maskOf(from, ['*'], words);
  const sources = new WeakMap<object, Mask>();
  const destinations = new WeakMap<Service, Mask>();

  function sourceMask(source: Source): Mask {
    if (source.type === 'internet') return internet;
    const holder = source.type === 'service' ? source.service : source;
    return remember(sources, holder, () =>
      maskOf(from, source.type === 'service' ? serviceSelectors(source.service) : hostSelectors(source), words),
    );
  }

  /** The first rule, of the first `limit`, that selects this source, this destination and this port. */
  function firstMatch(source: Source, destination: Destination, limit: number): CompiledRule | undefined {
    const { service, port, protocol } = destination;
    const callers = sourceMask(source);
    const called = remember(destinations, service, () => maskOf(to, serviceSelectors(service), words));
    for (let word = 0; word < words; word++) {
      let bits = (callers[word] as number) & (called[word] as number);
      while (bits !== 0) {
        const number = word * 32 + 31 - Math.clz32(bits & -bits);
        const rule = compiled[number];
        if (rule === undefined || number >= limit) return undefined;
        if (rule.ports.length === 0 || includesPort(rule.ports, port, protocol)) return rule;
        bits &= bits - 1;
      }
    }
    return undefined;
  }

  function decide(source: Source, destination: Destination): Verdict {
    const { service, port, protocol } = destination;
    const permit = (rule: string, reason: string): Permit =>
      ({ allowed: true, source, destination, rule, revision, reason }) as Permit;
    const deny = (rule: string, reason: string): Denied => ({
      allowed: false,
      source,
      destination,
      rule,
      revision,
      reason,
    });

    if (service.kind === 'worker') {
      return deny('builtin:worker', `${service.name} is a worker, and a worker receives nothing`);
    }
    if (!includesPort(service.ports, port, protocol)) {
      return deny('builtin:undeclared-port', `${service.name} does not declare port ${port}/${protocol}`);
    }
    if (source.type === 'internet') {
      if (service.kind !== 'web' || protocol !== 'tcp' || service.public?.port !== port) {
        return deny('builtin:ingress', `the internet reaches only a web service's public port, not ${service.name}:${port}`);
      }
      const denied = firstMatch(source, destination, denies);
      if (denied !== undefined) return deny(denied.name, `policy ${denied.name} denies the internet ${service.name}:${port}`);
      return permit('builtin:ingress', `${service.name}:${port} is public`);
    }
    const rule = firstMatch(source, destination, compiled.length);
    const flow = `${sourceName(source)} to ${service.name}:${port}/${protocol}`;
    if (rule !== undefined) {
      return rule.action === 'deny'
        ? deny(rule.name, `policy ${rule.name} denies ${flow}`)
        : permit(rule.name, `policy ${rule.name} allows ${flow}`);
    }
    return defaultAction === 'deny'
      ? deny('default', `no policy speaks of ${flow}, and the default is deny`)
      : permit('default', `no policy speaks of ${flow}, and the default is allow`);
  }

  return { revision, decide };
}

function indexSelectors(selectors: readonly (readonly string[])[]): SelectorIndex {
  const index = new Map<string, number[]>();
  selectors.forEach((texts, number) => {
    for (const text of texts) {
      const numbers = index.get(text);
      if (numbers === undefined) index.set(text, [number]);
      else numbers.push(number);
    }
  });
  return index;
}

function serviceSelectors(service: Service): string[] {
  return ['*', service.name, `kind:${service.kind}`, ...service.tags.map((tag) => `tag:${tag}`)];
}

function hostSelectors(host: { readonly name: string; readonly tags: readonly string[] }): string[] {
  return ['*', `host:${host.name}`, ...host.tags.map((tag) => `tag:${tag}`)];
}

function maskOf(index: SelectorIndex, selectors: readonly string[], words: number): Mask {
  const mask = new Uint32Array(words);
  for (const selector of selectors) {
    for (const number of index.get(selector) ?? []) mask[number >>> 5] = (mask[number >>> 5] ?? 0) | (1 << (number & 31));
  }
  return mask;
}

function remember<K extends object>(cache: WeakMap<K, Mask>, key: K, make: () => Mask): Mask {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}
