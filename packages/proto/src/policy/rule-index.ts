/** Which rules speak of a party, found by the party's few selectors and not by going through the rules. */
import type { Rule, Service } from '../model/mesh.ts';
import { selectorsOfService, selectorsOfSource } from '../model/selector.ts';
import type { Source } from './types.ts';

export class RuleIndex {
  readonly #from: ReadonlyMap<string, readonly number[]>;
  readonly #to: ReadonlyMap<string, readonly number[]>;

  constructor(rules: readonly Pick<Rule, 'from' | 'to'>[]) {
    this.#from = bySelector(rules.map(({ from }) => from));
    this.#to = bySelector(rules.map(({ to }) => to));
  }

  /** Places of the rules whose `from` selects the source, ascending. */
  from(source: Source): number[] {
    return select(this.#from, selectorsOfSource(source));
  }

  /** Places of the rules whose `to` selects the service, ascending. */
  to(service: Service): number[] {
    return select(this.#to, selectorsOfService(service));
  }
}

function bySelector(selectors: readonly (readonly string[])[]): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (const [place, texts] of selectors.entries()) {
    for (const text of texts) {
      const places = index.get(text);
      if (places === undefined) index.set(text, [place]);
      else places.push(place);
    }
  }
  return index;
}

function select(index: ReadonlyMap<string, readonly number[]>, texts: readonly string[]): number[] {
  const found = new Set<number>();
  for (const text of texts) for (const place of index.get(text) ?? []) found.add(place);
  return [...found].sort((one, other) => one - other);
}
