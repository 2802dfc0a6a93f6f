const UNITS = [
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const;

/** As a person writes it and the mesh file reads it, without loss: `90s`, `5m`, `1500ms`. Takes whole milliseconds above 0. */
export function durationWords(ms: number): string {
  const [length, unit] = UNITS.find(([each]) => ms % each === 0) ?? [1, 'ms'];
  return `${ms / length}${unit}`;
}
