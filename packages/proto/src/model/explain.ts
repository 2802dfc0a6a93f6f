/** Where a flow would break. */
export type BreakPoint =
  | 'none'
  | 'no-such-source'
  | 'no-such-name'
  | 'denied'
  | 'no-listener'
  | 'no-healthy-instance'
  | 'not-listening'
  | 'unreachable';
