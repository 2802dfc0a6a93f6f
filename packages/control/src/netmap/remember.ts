/** The value at `key`: the one that is there, or what `make` gives, which then is. */
export function remember<V>(memory: Map<string, V>, key: string, make: () => V): V {
  let value = memory.get(key);
  if (value === undefined) {
    value = make();
    memory.set(key, value);
  }
  return value;
}
