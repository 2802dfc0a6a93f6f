/** What a join token is worth, said once for who lists it, who counts it and who forgets it. */
export type JoinTokenState = 'valid' | 'revoked' | 'expired' | 'used';

/** How long one that admits nobody any more is listed unasked, in milliseconds. */
export const ENDED_TOKEN_LISTED_MS = 86_400_000;

/** Whether somebody new can join with it: one that is `used` still admits the agent that used it. */
export function joinTokenState(
  token: { readonly revoked: boolean; readonly expiresMs: number; readonly reusable: boolean; readonly uses: number },
  nowMs: number,
): JoinTokenState {
  if (token.revoked) return 'revoked';
  if (token.expiresMs <= nowMs) return 'expired';
  return token.uses > 0 && !token.reusable ? 'used' : 'valid';
}

/**
 * Since when nobody new can join with it, in milliseconds since the Unix epoch; undefined while somebody can. Of one that was
 * used up or revoked before that was kept (`endedMs` is not there), when it was made, than which it cannot be earlier.
 */
export function joinTokenEndMs(
  token: Parameters<typeof joinTokenState>[0] & { readonly createdMs: number; readonly endedMs: number | undefined },
  nowMs: number,
): number | undefined {
  const state = joinTokenState(token, nowMs);
  if (state === 'valid') return undefined;
  const unknownMs = state === 'expired' ? token.expiresMs : token.createdMs;
  return Math.min(token.endedMs ?? unknownMs, token.expiresMs);
}
