/** The values that are there, for what takes a key only together with a value (`exactOptionalPropertyTypes`). */
export type Defined<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };

/** The object without its undefined values. Not for the byte path: it allocates. */
export function defined<Values extends object>(values: Values): Defined<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<Values>;
}
