/** Something to mutate: of its two checks one is tested. */
export function sum(a: number, b: number): number {
  if (a < 0) throw new RangeError('a');
  return a + b;
}

export function untested(a: number): number {
  return a + 1;
}
