/** What control may forget, so that its data does not grow with every host that ever came by. */
import { FORGOTTEN_RETENTION_MS, REVOKED_RETENTION_MS, TOKEN_RETENTION_MS } from './limits.ts';
import type { EndedAgent, NetworkState, TokenState } from './types.ts';

/** Ids of tokens of the network that ended long ago and left no member. Revoking one of the rest still ends memberships. */
export function fadedTokens(tokens: Iterable<TokenState>, network: NetworkState, nowMs: number): string[] {
  const used = new Set([...network.agents.values()].map((agent) => agent.tokenId));
  const faded: string[] = [];
  for (const token of tokens) {
    const ended = token.network === network.name && token.expiresMs + TOKEN_RETENTION_MS < nowMs;
    if (ended && !used.has(token.id)) faded.push(token.id);
  }
  return faded;
}

export function fadedEnded(ended: Iterable<EndedAgent>, nowMs: number): string[] {
  const faded: string[] = [];
  for (const agent of ended) {
    const retention = agent.revoked ? REVOKED_RETENTION_MS : FORGOTTEN_RETENTION_MS;
    if (agent.endedMs + retention < nowMs) faded.push(agent.id);
  }
  return faded;
}
