import { expect, test } from 'vitest';
import { TOKEN_RETENTION_MS } from './limits.ts';
import { fadedTokens } from './retention.ts';
import type { TokenState } from './types.ts';

const NOW = 2 * TOKEN_RETENTION_MS;

function token(id: string, rest: Partial<TokenState> = {}): TokenState {
  return {
    id,
    network: 'prod',
    services: [],
    host: '',
    roles: [],
    reusable: true,
    ephemeral: false,
    secretHash: new Uint8Array(32),
    sequence: 0,
    createdMs: 0,
    expiresMs: NOW + 1,
    uses: 0,
    revoked: false,
    ...rest,
  };
}

const tokens = [
  token('live'),
  token('revoked', { revoked: true }),
  token('used', { reusable: false, uses: 1 }),
  token('member', { revoked: true }),
  token('expired', { expiresMs: NOW }),
  token('long-ended', { expiresMs: 1 }),
];
const members = [{ tokenId: 'member', earlierTokenIds: [] }];
const faded = (most: number): string[] => fadedTokens(tokens, members, { nowMs: NOW, most });

test('a token that ended long ago goes, and one that can still be used or left a member never does', () => {
  expect(faded(6)).toEqual(['long-ended']);
  expect(faded(1)).toEqual(['long-ended', 'revoked', 'used', 'expired']);
});

test('at the limit, tokens that ended make room for one, the oldest first', () => {
  expect(faded(5)).toEqual(['long-ended', 'revoked']);
  expect(faded(4)).toEqual(['long-ended', 'revoked', 'used']);
});

test('a token that a member joined with before its last one stays as well', () => {
  const members = [{ tokenId: 'member', earlierTokenIds: ['long-ended'] }];
  expect(fadedTokens(tokens, members, { nowMs: NOW, most: tokens.length + 1 })).toEqual([]);
});
