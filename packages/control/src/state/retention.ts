/** What control may forget, so that its data does not grow with every host that ever came by. */
import { joinTokenState } from '@weft/proto';
import { FORGOTTEN_RETENTION_MS, REVOKED_RETENTION_MS, TOKEN_RETENTION_MS } from './limits.ts';
import type { AgentState, EndedAgent, TokenState } from './types.ts';

/**
 * Ids of tokens, out of all that the network has, oldest first, that ended and left no member: those that ended long ago,
 * and as many of the others as make room for one among `most`. Revoking one of the rest still ends memberships.
 */
export function fadedTokens(
  tokens: readonly TokenState[],
  agents: Iterable<Pick<AgentState, 'tokenId'>>,
  { nowMs, most }: { readonly nowMs: number; readonly most: number },
): string[] {
  const used = new Set(Array.from(agents, ({ tokenId }) => tokenId));
  const ended = tokens.filter((token) => !used.has(token.id) && joinTokenState(token, nowMs) !== 'valid');
  const isLongOver = (token: TokenState): boolean => token.expiresMs + TOKEN_RETENTION_MS < nowMs;
  const longEnded = ended.filter(isLongOver);
  const excess = tokens.length - longEnded.length - most + 1;
  const forRoom = ended.filter((token) => !isLongOver(token)).slice(0, Math.max(0, excess));
  return [...longEnded, ...forRoom].map(({ id }) => id);
}

export function fadedEnded(ended: Iterable<EndedAgent>, nowMs: number): string[] {
  const faded: string[] = [];
  for (const agent of ended) {
    const retention = agent.revoked ? REVOKED_RETENTION_MS : FORGOTTEN_RETENTION_MS;
    if (agent.endedMs + retention < nowMs) faded.push(agent.id);
  }
  return faded;
}
