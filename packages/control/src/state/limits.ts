/** Bounds on what control holds, far above what it is made for, so that a runaway script is told and not served. */
export const LIMITS = {
  networks: 256,
  agentsPerNetwork: 20_000,
  /** Without those that ended and that a member joined with. */
  tokensPerNetwork: 20_000,
  /** That one member joined with. */
  tokensPerAgent: 64,
} as const;

/** How long a token that admits nobody any more, and left no member behind, is kept. */
export const TOKEN_RETENTION_MS = 30 * 86_400_000;

/** How long a revoked agent can be told so. Longer than any token lives, since it also keeps the agent from using an old one. */
export const REVOKED_RETENTION_MS = 400 * 86_400_000;

/** How long an ephemeral agent that went away can be told so. */
export const FORGOTTEN_RETENTION_MS = 86_400_000;
