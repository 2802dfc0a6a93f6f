/** Join tokens: their making, and what one is worth at this moment. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { encodeJoinToken } from '@weft/proto';
import type { CreatedToken, ReplacedToken, StateStore, TokenScope, TokenState } from '../state/types.ts';
import { EnrollError } from './errors.ts';

export interface NewToken {
  /** The whole token. It is shown once: what is kept is the hash of its secret. */
  readonly text: string;
  readonly token: CreatedToken;
}

export interface TokenOptions {
  readonly scope: TokenScope;
  readonly lifetimeMs: number;
  /** Where control may be reached, HOST:PORT. */
  readonly addresses: readonly string[];
  /** Of control's key, 32 bytes. */
  readonly pin: Uint8Array;
  /** Who makes it, for the audit. */
  readonly actor: string;
  /** What to do where the network is not there. */
  readonly absent: 'make' | 'refuse';
}

export async function createJoinToken(
  state: StateStore,
  { scope, lifetimeMs, addresses, pin, actor, absent }: TokenOptions,
): Promise<NewToken> {
  // 256 random bits: a hash without salt or stretching is enough to keep them.
  const secret = randomBytes(32).toString('base64url');
  const token = await state.createToken(scope, hashSecret(secret), lifetimeMs, actor, absent);
  return { text: encodeJoinToken({ addresses, pin, id: token.id, secret }), token };
}

export async function replaceJoinToken(
  state: StateStore,
  {
    id,
    lifetimeMs,
    addresses,
    pin,
    actor,
  }: Pick<TokenOptions, 'addresses' | 'pin' | 'actor'> & {
    readonly id: string;
    /** That of the one before when undefined. */
    readonly lifetimeMs: number | undefined;
  },
): Promise<ReplacedToken & Pick<NewToken, 'text'>> {
  const secret = randomBytes(32).toString('base64url');
  const replaced = await state.replaceToken(id, hashSecret(secret), lifetimeMs, actor);
  return { ...replaced, text: encodeJoinToken({ addresses, pin, id: replaced.token.id, secret }) };
}

function hashSecret(secret: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(secret).digest());
}

/**
 * The token, if the secret is its own. An unknown token and a wrong secret get the same answer after the same work, so that
 * only who has the secret learns anything of the token.
 */
export function findToken(state: StateStore, id: string, secret: string): TokenState {
  const token = state.token(id);
  const given = hashSecret(secret);
  const right = timingSafeEqual(given, token?.secretHash ?? new Uint8Array(given.length));
  if (token === undefined || !right) {
    throw new EnrollError(
      'token-unknown',
      'control knows no such join token; check that it was copied whole and is for this control, or have a new one made',
    );
  }
  return token;
}

/** Throws when nobody new may join with the token now. `used` is left to the caller: the same agent may come again. */
export function requireUsable(token: TokenState, nowMs: number): void {
  if (token.revoked) throw tokenRevoked(token);
  if (nowMs >= token.expiresMs) {
    const when = new Date(token.expiresMs).toISOString();
    throw new EnrollError(
      'token-expired',
      `join token ${token.id} expired at ${when}; have a new one made with weft token create, with a longer --ttl if need be`,
    );
  }
  // A clock that was ahead when it was made, or is behind now, must not prolong it without a bound: by its lifetime once.
  const lifetimeMs = token.expiresMs - token.createdMs;
  if (nowMs < token.createdMs - lifetimeMs) {
    const when = new Date(token.createdMs).toISOString();
    throw new EnrollError(
      'token-early',
      `join token ${token.id} was made at ${when}, and control's clock says ${new Date(nowMs).toISOString()}; set control's clock right, or have a new one made`,
    );
  }
}

export function tokenRevoked({ id, replacedBy }: TokenState, cause?: unknown): EnrollError {
  const message =
    replacedBy === ''
      ? `join token ${id} was revoked; have a new one made with weft token create`
      : `join token ${id} was replaced by ${replacedBy}, and admits nobody any more; ask for that one`;
  return new EnrollError('token-revoked', message, undefined, cause);
}
