import { expect, test } from 'vitest';
import { joinTokenEndMs, joinTokenState } from './join-token.ts';

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

const made = { ...fresh, createdMs: 100, endedMs: undefined };

test.each([
  ['one that is good', undefined, made],
  ['one whose time is up', 1_000, { ...made, expiresMs: 1_000 }],
  ['one that was used up', 300, { ...made, uses: 1, endedMs: 300, expiresMs: 5_000 }],
  ['one that was used up, and whose time is up since', 300, { ...made, uses: 1, endedMs: 300 }],
  ['one that was revoked when its time was up', 1_000, { ...made, revoked: true, endedMs: 1_500 }],
  ['one that was revoked before that was kept', 100, { ...made, revoked: true, expiresMs: 5_000 }],
] as const)('admits nobody since: %s', (_what, endMs, token) => {
  expect(joinTokenEndMs(token, endMs === undefined ? 999 : 2_000)).toBe(endMs);
});
