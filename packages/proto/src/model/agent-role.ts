/** What an agent may be beside one that runs services: one row a role. */

interface RoleRow {
  /** Reads after "it may". */
  readonly may: string;
  /** What was asked for and not permitted, and how to have it. */
  readonly refusal: string;
}

const ROWS = {
  gateway: {
    may: 'be a gateway, and let the internet in to web services',
    refusal: 'the token allows no gateway; make one with --gateway',
  },
} as const satisfies Record<string, RoleRow>;

export type AgentRole = keyof typeof ROWS;

export const AGENT_ROLES: Readonly<Record<AgentRole, RoleRow>> = ROWS;

/** In the order of the table. */
export const AGENT_ROLE_WORDS: readonly AgentRole[] = Object.keys(ROWS) as AgentRole[];

export function isAgentRole(word: string): word is AgentRole {
  return Object.hasOwn(ROWS, word);
}
