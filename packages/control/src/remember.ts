/** A memory of what was made, by map of any sort. */
interface Kept<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): unknown;
}

/** The value at `key`: the one that is there, or what `make` gives, which then is. */
export function remember<Key, Value>(memory: Kept<Key, Value>, key: Key, make: () => Value): Value {
  let value = memory.get(key);
  if (value === undefined) {
    value = make();
    memory.set(key, value);
  }
  return value;
}
