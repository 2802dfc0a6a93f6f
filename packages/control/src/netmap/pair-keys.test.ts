import { hkdfSync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { PairKeys } from './pair-keys.ts';

test('is HKDF-SHA256 over the sorted keys, and symmetrical', () => {
  for (let round = 0; round < 20; round += 1) {
    const secret = randomBytes(32);
    const keys = [randomBytes(32), randomBytes(32)].sort(Buffer.compare);
    const [low, high] = keys as [Buffer, Buffer];
    const expected = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), Buffer.concat([low, high]), 32));
    const pairKeys = new PairKeys(secret);
    expect(Buffer.from(pairKeys.of(low, high))).toEqual(expected);
    expect(Buffer.from(pairKeys.of(high, low))).toEqual(expected);
  }
});

test('differs by pair and by network', () => {
  const [secret, a, b, c] = [randomBytes(32), randomBytes(32), randomBytes(32), randomBytes(32)];
  const pairKeys = new PairKeys(secret);
  expect(pairKeys.of(a, b)).not.toEqual(pairKeys.of(a, c));
  expect(pairKeys.of(a, b)).not.toEqual(new PairKeys(randomBytes(32)).of(a, b));
});
