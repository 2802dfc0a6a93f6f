import { expect, test } from 'vitest';
import { keyFingerprint } from './fingerprint.ts';

test('a key is shown by the start of its SHA-256', () => {
  expect(keyFingerprint(new TextEncoder().encode('abc'))).toBe('SHA256:ba7816bf8f01cfea414140de5dae2223');
});
