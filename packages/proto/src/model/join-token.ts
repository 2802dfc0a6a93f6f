/** What a join token is worth, said once for who lists it, who counts it and who forgets it. */
export type JoinTokenState = 'valid' | 'revoked' | 'expired' | 'used';

/** Whether somebody new can join with it: one that is `used` still admits the agent that used it. */
export function joinTokenState(
  token: { readonly revoked: boolean; readonly expiresMs: number; readonly reusable: boolean; readonly uses: number },
  nowMs: number,
): JoinTokenState {
  if (token.revoked) return 'revoked';
  if (token.expiresMs <= nowMs) return 'expired';
  return token.uses > 0 && !token.reusable ? 'used' : 'valid';
}
