import { afterEach, expect, test } from 'vitest';
import {
  isInsideKnown,
  nativeCalls,
  nativeCause,
  nativeCipher,
  setNative,
  setNativeCipher,
  trustInside,
} from './inside/known.ts';
import { checkThread, takeChecked } from './thread-checks.ts';

const NONE = { native: undefined, inside: undefined, cipher: undefined };

afterEach(() => {
  trustInside(true);
  setNative('not looked for');
  setNativeCipher(undefined);
});

test('another thread has what the first has found well, and does without what it has not', async () => {
  const faults = await checkThread(true);
  expect(faults).toEqual(NONE);
  const found = [nativeCause(), nativeCipher() !== undefined];
  setNative('not looked for');
  setNativeCipher(undefined);
  takeChecked(true, faults);
  expect([nativeCause(), nativeCipher() !== undefined]).toEqual(found);

  takeChecked(true, { ...NONE, cipher: 'it seals to other bytes' });
  expect(nativeCipher()).toBeUndefined();
  expect(nativeCause()).toBe(found[0]);
  takeChecked(true, { ...NONE, native: 'none were sent by one call' });
  expect(nativeCause()).toBe('none were sent by one call');
  expect(nativeCipher()).toBeUndefined();
  takeChecked(false, NONE);
  expect(nativeCause()).toBe('switched off by --no-native');

  expect(isInsideKnown()).toBe(true);
  takeChecked(true, { ...NONE, inside: 'other bytes came' });
  expect(isInsideKnown()).toBe(false);
  expect([nativeCalls(), nativeCipher()]).toEqual([undefined, undefined]);
});
