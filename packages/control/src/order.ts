/** Order of names, the same everywhere and whatever the host's language: by UTF-16 code units. */
export function byText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
