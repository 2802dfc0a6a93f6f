import { expect, test } from 'vitest';
import { joinTokenState } from './join-token.ts';

const fresh = { revoked: false, expiresMs: 1_000, reusable: false, uses: 0 };

test.each([
  ['valid', fresh, 999],
  ['expired', fresh, 1_000],
  ['used', { ...fresh, uses: 1 }, 999],
  ['valid', { ...fresh, uses: 9, reusable: true }, 999],
  ['expired', { ...fresh, uses: 1 }, 1_000],
  ['revoked', { ...fresh, uses: 1, revoked: true }, 1_000],
] as const)('%s', (state, token, nowMs) => {
  expect(joinTokenState(token, nowMs)).toBe(state);
});
