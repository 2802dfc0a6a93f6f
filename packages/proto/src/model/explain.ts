/** Where a flow would break; `other` is told by a newer control alone. */
export const BREAK_POINTS = [
  'none',
  'no-such-source',
  'no-such-name',
  'denied',
  'no-listener',
  'no-healthy-instance',
  'not-listening',
  'unreachable',
  'other',
] as const;

export type BreakPoint = (typeof BREAK_POINTS)[number];
