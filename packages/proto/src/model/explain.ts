/** Where a flow would break. */
export const BREAK_POINTS = [
  'none',
  'no-such-source',
  'no-such-name',
  'denied',
  'no-listener',
  'no-healthy-instance',
  'not-listening',
  'unreachable',
] as const;

export type BreakPoint = (typeof BREAK_POINTS)[number];
