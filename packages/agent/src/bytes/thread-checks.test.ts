import { afterEach, expect, test } from 'vitest';
import {
  isInsideKnown,
  nativeCalls,
  nativeCause,
  nativeCipher,
  nativeCipherCause,
  setNative,
  setNativeCipher,
  trustInside,
} from './inside/known.ts';
import { checkThread, takeChecked } from './thread-checks.ts';

const NONE = { native: undefined, inside: undefined, cipher: undefined };

afterEach(() => {
  trustInside(true);
  setNative('not looked for');
  setNativeCipher('not looked for');
});

test('another thread has what the first has found well, and does without what it has not', async () => {
  const faults = await checkThread(true);
  expect(faults).toEqual(NONE);
  const found = [nativeCause(), nativeCipher() !== undefined];
  setNative('not looked for');
  setNativeCipher('not looked for');
  takeChecked(true, faults);
  expect([nativeCause(), nativeCipher() !== undefined]).toEqual(found);

  takeChecked(true, { ...NONE, cipher: 'it seals to other bytes' });
  expect([nativeCipher(), nativeCipherCause()]).toEqual([
    undefined,
    'OpenSSL called by node:ffi does otherwise: it seals to other bytes',
  ]);
  expect(nativeCause()).toBe(found[0]);
  takeChecked(true, { ...NONE, native: 'none were sent by one call' });
  const known = found[0] === '' ? 'many datagrams at once do not come through: none were sent by one call' : found[0];
  // Records have nothing to do with it.
  expect([nativeCause(), nativeCipher() !== undefined]).toEqual([known, found[1]]);
  takeChecked(false, NONE);
  expect([nativeCause(), nativeCipherCause()]).toEqual(Array(2).fill('switched off by --no-native'));

  expect(isInsideKnown()).toBe(true);
  takeChecked(true, { ...NONE, inside: 'other bytes came' });
  expect(isInsideKnown()).toBe(false);
  expect([nativeCalls(), nativeCipher()]).toEqual([undefined, undefined]);
});
