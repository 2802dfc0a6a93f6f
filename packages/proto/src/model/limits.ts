/** Bounds that keep one mesh from costing every agent without limit. */
export const LIMITS = {
  services: 5_000,
  policies: 10_000,
  agents: 10_000,
  tests: 10_000,
  /** Of one service or agent. */
  tags: 32,
  /** Of one side of a rule. */
  selectors: 256,
  /** Entries, single ports or ranges, of one rule. */
  rulePorts: 256,
  /** Of one service. */
  publicHosts: 100,
} as const;
