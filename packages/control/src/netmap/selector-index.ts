/**
 * Which rules speak of a party, found by the party's few selectors and not by going through the rules. What a selector means
 * is the evaluator's to say: the test beside this file holds the two together.
 */
import type { Service, Source } from '@weft/proto';

export class SelectorIndex {
  readonly #rules = new Map<string, number[]>();

  /** `selectors` of each rule's `from`, or of each rule's `to`. */
  constructor(selectors: readonly (readonly string[])[]) {
    for (const [rule, texts] of selectors.entries()) {
      for (const text of texts) {
        const rules = this.#rules.get(text);
        if (rules === undefined) this.#rules.set(text, [rule]);
        else rules.push(rule);
      }
    }
  }

  /** Indexes of the rules that select a party answering to any of these selectors, ascending. */
  select(answersTo: readonly string[]): number[] {
    const found = new Set<number>();
    for (const text of answersTo) for (const rule of this.#rules.get(text) ?? []) found.add(rule);
    return [...found].sort((one, other) => one - other);
  }
}

/** Every selector that selects the service, as a caller or as the one called. */
export function serviceSelectors(service: Service): string[] {
  return ['*', service.name, `kind:${service.kind}`, ...service.tags.map((tag) => `tag:${tag}`)];
}

/** Every selector that selects the source. */
export function sourceSelectors(source: Source): string[] {
  switch (source.type) {
    case 'service':
      return serviceSelectors(source.service);
    case 'host':
      return ['*', `host:${source.name}`, ...source.tags.map((tag) => `tag:${tag}`)];
    case 'internet':
      return ['*'];
  }
}
