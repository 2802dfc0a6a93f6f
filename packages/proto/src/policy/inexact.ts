/**
 * Rules that do on a host what they do not say, since nobody can tell its services' processes apart: one that denies holds
 * for more than it names, one that allows for nobody. docs/decisions/0038-a-deny-is-never-lost.md says why.
 */
import type { Action, Rule, Service } from '../model/mesh.ts';
import { selectorsOfSource } from '../model/selector.ts';
import { entryOf } from '../model/values.ts';
import { RuleIndex } from './rule-index.ts';
import type { HostSource } from './types.ts';

export interface InexactRule {
  /** In the list of rules. */
  readonly place: number;
  readonly rule: Rule;
  /** Names of services of the host that the rule speaks of. */
  readonly services: readonly string[];
}

/** What a change gives to, or takes from, programs that speak as their host. */
export interface HostReach {
  /** By name, the first of `hostCount`. */
  readonly hosts: readonly string[];
  readonly hostCount: number;
  /** What they reach now or no more, such as `statsd:8125/udp`: the first of `toCount`. */
  readonly to: readonly string[];
  readonly toCount: number;
  /** What is so now; it was the other before. */
  readonly verdict: Action;
  /** That decides it now: a rule's name, or `default`. */
  readonly rule: string;
}

const NONE: ReadonlySet<string> = new Set();

export class InexactRules {
  readonly #rules: readonly Rule[];
  readonly #index: RuleIndex;
  readonly #defaultAction: Action;

  constructor(rules: readonly Rule[], defaultAction: Action) {
    this.#rules = rules;
    this.#index = new RuleIndex(rules);
    this.#defaultAction = defaultAction;
  }

  /**
   * In file order. `host`: with all that it may run; `runs`: the names of those that run there; `told`: of these, whose processes its
   * agent tells from others; `asHost`: whether whoever is not told speaks as the host even where one alone runs. None of a host that
   * speaks as its one.
   */
  on(host: HostSource, runs: readonly string[], told: ReadonlySet<string> = NONE, asHost = false): InexactRule[] {
    const found = this.among(host.services, runs, told, asHost);
    if (found.length === 0) return [];
    const own = this.about(host);
    return found.filter(({ place }) => !own.has(place));
  }

  /** Places of the rules that speak of the host itself: what they say of it they do. */
  about({ name, tags }: Pick<HostSource, 'name' | 'tags'>): ReadonlySet<number> {
    return new Set(this.#index.from({ type: 'host', name, tags, services: [] }));
  }

  /** The same, whatever the host is called: to be asked once for all that may run, and run, the same. */
  among(
    services: readonly Service[],
    runs: readonly string[],
    told: ReadonlySet<string> = NONE,
    asHost = false,
  ): InexactRule[] {
    if (!asHost && (runs.length === 1 || services.length < 2)) return [];
    // Whoever is none of them is denied with any of them, which takes nothing from who is known.
    const exact = runs.length > 0 && runs.every((name) => told.has(name));
    const bySelector = new Map<string, string[]>();
    // Whoever calls is meant by a star, host or service.
    for (const service of services)
      for (const text of selectorsOfSource({ type: 'service', service }))
        if (text !== '*') entryOf(bySelector, text, (): string[] => []).push(service.name);
    const matched = new Map<number, string[]>();
    for (const text of bySelector.keys())
      for (const place of this.#index.placesOf(text)) entryOf(matched, place, (): string[] => []).push(text);
    const running = new Set(runs);
    // Thousands of rules may name the same.
    const made = new Map<string, readonly string[]>();
    return [...matched]
      .sort(([one], [other]) => one - other)
      .flatMap(([place, selectors]) => {
        const rule = this.#rules[place];
        // Where the default allows, an allow adds nothing.
        if (rule === undefined || (rule.action === 'allow' && this.#defaultAction === 'allow')) return [];
        const all = entryOf(made, selectors.join(), () => [
          ...new Set(selectors.flatMap((text) => bySelector.get(text) ?? [])),
        ]);
        if (rule.action === 'deny')
          return exact || all.length === services.length ? [] : [{ place, rule, services: all }];
        // What does not run needs no permission.
        const there = entryOf(made, `${selectors.join()} there`, () =>
          all.filter((name) => running.has(name) && !told.has(name)),
        );
        return there.length === 0 ? [] : [{ place, rule, services: there }];
      });
  }
}

/** What the rule does instead: `services` are those it speaks of on those hosts. */
export function inexactEffect({ action }: Rule, services: string, hosts: string): string {
  return action === 'deny'
    ? `denies every process of ${hosts} that may be ${services}, since none there can be told from another`
    : `allows nothing to ${services} on ${hosts}, where no process can be told from another`;
}
