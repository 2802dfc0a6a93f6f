/** What objects and maps want for, and the language leaves out. */

/** The values that are there, for what takes a key only together with a value (`exactOptionalPropertyTypes`). */
export type Defined<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };

/** The object without its undefined values. Not for the byte path: it allocates. */
export function defined<Values extends object>(values: Values): Defined<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<Values>;
}

/** A map of any sort. */
interface Entries<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): unknown;
}

/** What stands in the map under the key; what is made now where nothing stood there. */
export function entryOf<Key, Value>(map: Entries<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** `a, b and 3 more`: the first of them, for sentences that must not grow with a fleet. `count`: of how many `names` are the first. */
export function listed(names: readonly string[], most: number, count: number = names.length): string {
  const shown = names.slice(0, most);
  const more = count > shown.length ? ` and ${count - shown.length} more` : '';
  return `${shown.join(', ')}${more}`;
}

/** Order of names, the same everywhere and whatever the host's language: by UTF-16 code units. */
export function byText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
