import { expect, test } from 'vitest';
import { TOKEN_RETENTION_MS } from './limits.ts';
import { fadedTokens, keptTokens } from './retention.ts';
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
    endedMs: undefined,
    replacedBy: '',
    asOf: undefined,
    ...rest,
  };
}

const tokens = [
  token('live'),
  token('revoked', { revoked: true, endedMs: NOW - 2 }),
  token('used', { reusable: false, uses: 1, endedMs: NOW - 1 }),
  token('member', { revoked: true }),
  token('expired', { expiresMs: NOW }),
  token('long-ended', { expiresMs: 1 }),
];
const members = [{ tokenId: 'member', earlierTokenIds: [] }];
const faded = (most: number) => fadedTokens(tokens, members, { nowMs: NOW, most }).faded;

test('a token that ended long ago goes, and one that can still be used or left a member never does', () => {
  expect(faded(5)).toEqual(['long-ended']);
  expect(faded(1)).toEqual(['long-ended', 'revoked', 'used', 'expired']);
});

test('at the limit, tokens that ended make room for one, the oldest first', () => {
  expect(faded(4)).toEqual(['long-ended', 'revoked']);
  expect(faded(3)).toEqual(['long-ended', 'revoked', 'used']);
});

test('a token that a member joined with before its last one stays as well', () => {
  const members = [{ tokenId: 'member', earlierTokenIds: ['long-ended'] }];
  expect(fadedTokens(tokens, members, { nowMs: NOW, most: tokens.length + 1 }).faded).toEqual([]);
});

test('a token that is good for a year goes 30 days after it was used up or revoked', () => {
  const long = { reusable: false, uses: 1, expiresMs: NOW + 300 * 86_400_000 };
  const kept = token('kept', { ...long, endedMs: NOW - TOKEN_RETENTION_MS });
  const gone = token('gone', { ...long, endedMs: NOW - TOKEN_RETENTION_MS - 1 });
  expect(fadedTokens([gone, kept], [], { nowMs: NOW, most: 9 })).toEqual({ faded: ['gone'], held: 1 });
});

test('tokens that members used up leave room for as many again', () => {
  const spent = Array.from({ length: 9 }, (_, at) => token(`used-${at}`, { reusable: false, uses: 1, endedMs: 1 }));
  const joined = spent.map(({ id }) => ({ tokenId: id, earlierTokenIds: [] }));
  const counted = fadedTokens([...spent, token('live')], joined, { nowMs: NOW, most: 2 });
  expect(counted).toEqual({ faded: [], held: 1 });
});

test('a token that is to be forgotten is not told of until it is', () => {
  expect(keptTokens(tokens, members, NOW).map(({ id }) => id)).toEqual([
    'live',
    'revoked',
    'used',
    'member',
    'expired',
  ]);
});
