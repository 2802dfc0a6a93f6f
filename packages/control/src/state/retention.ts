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
  agents: Iterable<Pick<AgentState, 'tokenId' | 'earlierTokenIds'>>,
  { nowMs, most }: { readonly nowMs: number; readonly most: number },
): string[] {
  const used = new Set(Array.from(agents).flatMap(({ tokenId, earlierTokenIds }) => [tokenId, ...earlierTokenIds]));
  const ended = tokens.filter((token) => !used.has(token.id) && joinTokenState(token, nowMs) !== 'valid');
  const isLongOver = (token: TokenState): boolean => token.expiresMs + TOKEN_RETENTION_MS < nowMs;
  const longEnded = ended.filter(isLongOver);
  const excess = tokens.length - longEnded.length - most + 1;
  const forRoom = ended.filter((token) => !isLongOver(token)).slice(0, Math.max(0, excess));
  return [...longEnded, ...forRoom].map(({ id }) => id);
}

/** A revocation stays for as long as there is a token from before it, whatever the clock said when it was made. */
export function fadedEnded(
  {
    ended,
    tokens,
  }: { readonly ended: ReadonlyMap<string, EndedAgent>; readonly tokens: ReadonlyMap<string, TokenState> },
  nowMs: number,
): string[] {
  const valid = [...tokens.values()].filter((token) => joinTokenState(token, nowMs) === 'valid');
  const oldest = Math.min(...valid.map(({ sequence }) => sequence));
  const faded: string[] = [];
  for (const { id, revoked, endedMs, sequence } of ended.values()) {
    const retention = revoked ? REVOKED_RETENTION_MS : FORGOTTEN_RETENTION_MS;
    if (endedMs + retention < nowMs && !(revoked && oldest < sequence)) faded.push(id);
  }
  return faded;
}
