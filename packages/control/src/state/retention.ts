/** What control may forget, so that its data does not grow with every host that ever came by. */
import { entryOf, joinTokenEndMs, joinTokenState } from '@weft/proto';
import { FORGOTTEN_RETENTION_MS, REVOKED_RETENTION_MS, TOKEN_RETENTION_MS } from './limits.ts';
import { tokensOf } from './member-rights.ts';
import { asOf, placesOf, stillGiven, type TokenPlaces } from './taken.ts';
import type { AgentState, EndedAgent, TokenState } from './types.ts';

/**
 * Of all tokens that the network has, oldest first. `faded`, their ids, can go: they ended and left no member, some long ago, and of
 * the others as many as make room for one among `most`. `held` is the number of the rest, without those that ended and that a
 * member joined with: these stay as long as it does, for revoking one ends it, and are bounded by what members may join with.
 */
export function fadedTokens(
  tokens: readonly TokenState[],
  agents: Iterable<Pick<AgentState, 'tokenId' | 'earlierTokenIds'>>,
  { nowMs, most }: { readonly nowMs: number; readonly most: number },
): { readonly faded: readonly string[]; readonly held: number } {
  const used = new Set(Array.from(agents).flatMap(tokensOf));
  let valid = 0;
  const longEnded: string[] = [];
  const ended: string[] = [];
  for (const token of tokens) {
    const endMs = joinTokenEndMs(token, nowMs);
    if (endMs === undefined) valid += 1;
    else if (!used.has(token.id)) (endMs + TOKEN_RETENTION_MS < nowMs ? longEnded : ended).push(token.id);
  }
  const excess = Math.min(ended.length, Math.max(0, valid + ended.length - most + 1));
  return { faded: [...longEnded, ...ended.slice(0, excess)], held: valid + ended.length - excess };
}

/** Those that ended long ago and left no member go when the next is made: until then they are not told of. */
export function keptTokens(
  tokens: readonly TokenState[],
  agents: Parameters<typeof fadedTokens>[1],
  nowMs: number,
): TokenState[] {
  const faded = new Set(fadedTokens(tokens, agents, { nowMs, most: Number.POSITIVE_INFINITY }).faded);
  return tokens.filter(({ id }) => !faded.has(id));
}

/** A revocation, and what was taken from a host that was forgotten, stay for as long as there is a token from before, whatever the clock said when it was made. */
export function fadedEnded(
  {
    ended,
    tokens,
  }: { readonly ended: ReadonlyMap<string, EndedAgent>; readonly tokens: ReadonlyMap<string, TokenState> },
  nowMs: number,
): string[] {
  const valid = [...tokens.values()].filter((token) => joinTokenState(token, nowMs) === 'valid');
  const oldest = Math.min(...valid.map(asOf));
  const places = new Map<string, TokenPlaces>();
  const placesIn = (network: string): TokenPlaces =>
    entryOf(places, network, () =>
      placesOf(
        valid.filter((token) => token.network === network),
        nowMs,
      ),
    );
  const faded: string[] = [];
  for (const { id, network, revoked, endedMs, sequence, taken } of ended.values()) {
    const retention = revoked ? REVOKED_RETENTION_MS : FORGOTTEN_RETENTION_MS;
    if (endedMs + retention >= nowMs || (revoked && oldest < sequence)) continue;
    if (taken.length === 0 || stillGiven(taken, placesIn(network)).length === 0) faded.push(id);
  }
  return faded;
}
