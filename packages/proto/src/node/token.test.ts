import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenError } from '../model/errors.ts';
import { decodeAdminToken, decodeJoinToken, encodeAdminToken, encodeJoinToken } from './token.ts';

const pin = new Uint8Array(32).fill(7);
const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ';
const join = encodeJoinToken({ addresses: ['control.example.com:7400', '[::1]:7400'], pin, id: 't-1', secret });
const admin = encodeAdminToken({ pin, secret });

function bodied(body: unknown): string {
  return `weft1.${Buffer.from(JSON.stringify(body)).toString('base64url')}`;
}

function codeOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof TokenError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('join token', () => {
  it('comes back as it was', () => {
    expect(decodeJoinToken(`  ${join}\n`)).toEqual({
      addresses: ['control.example.com:7400', '[::1]:7400'],
      pin,
      id: 't-1',
      secret,
    });
  });

  const good = { a: ['127.0.0.1:7400'], p: Buffer.from(pin).toString('base64url'), i: 't1', s: secret };
  it.each([
    ['an admin token', admin, 'token-kind'],
    ['nothing', '', 'token-kind'],
    ['a longer text than any token', `weft1.${'A'.repeat(9_000)}`, 'token-length'],
    ['one cut short', join.slice(0, -1), 'token-damaged'],
    ['one with a foreign character', `${join}=`, 'token-damaged'],
    ['no JSON', 'weft1.AAAA', 'token-damaged'],
    ['a list', bodied([1]), 'token-damaged'],
    ['no address', bodied({ ...good, a: [] }), 'token-damaged'],
    ['17 addresses', bodied({ ...good, a: Array(17).fill('a:1') }), 'token-damaged'],
    ['an address without port', bodied({ ...good, a: ['localhost'] }), 'token-damaged'],
    ['an address with port 0', bodied({ ...good, a: ['localhost:0'] }), 'token-damaged'],
    ['a short pin', bodied({ ...good, p: 'AAAA' }), 'token-damaged'],
    ['no id', bodied({ ...good, i: '' }), 'token-damaged'],
    ['a short secret', bodied({ ...good, s: 'short' }), 'token-damaged'],
    ['a field too many', bodied({ ...good, x: 1 }), 'token-damaged'],
  ])('refuses %s', (_what, text, code) => {
    expect(codeOf(() => decodeJoinToken(text))).toBe(code);
  });

  it('accepts the body that the refused ones were made from', () => {
    expect(decodeJoinToken(bodied(good)).id).toBe('t1');
  });
});

describe('admin token', () => {
  it('comes back as it was', () => {
    expect(decodeAdminToken(`${admin}\n`)).toEqual({ pin, secret });
  });

  it.each([
    ['a join token', join, 'token-kind'],
    ['another word', 'weftadmin2.a.b', 'token-kind'],
    ['no secret', admin.slice(0, admin.lastIndexOf('.')), 'token-damaged'],
    ['a fourth part', `${admin}.more`, 'token-damaged'],
    ['a short pin', `weftadmin1.AAAA.${secret}`, 'token-damaged'],
  ])('refuses %s', (_what, text, code) => {
    expect(codeOf(() => decodeAdminToken(text))).toBe(code);
  });
});

describe('errors', () => {
  it('never hold the secret, whatever is altered', () => {
    fc.assert(
      fc.property(fc.nat(join.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, noise) => {
        const altered = join.slice(0, at) + noise + join.slice(at + 1);
        try {
          decodeJoinToken(altered);
        } catch (error) {
          expect(error).toBeInstanceOf(TokenError);
          expect(String(error)).not.toContain(secret.slice(0, 8));
          expect((error as Error).cause).toBeUndefined();
        }
      }),
    );
  });
});
