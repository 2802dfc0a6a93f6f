import { afterEach, expect, test, vi } from 'vitest';
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
const FOUND = { ...NONE, has: { native: false, cipher: false } };
const BOTH = { native: true, cipher: true };

afterEach(() => {
  trustInside(true);
  setNative('not looked for');
  setNativeCipher('not looked for');
});

test('another thread has what the first has found well, and does without what it has not', async () => {
  const faults = await checkThread(true);
  const found = [nativeCause(), nativeCipher() !== undefined];
  expect(faults).toEqual({ ...NONE, has: { native: nativeCalls() !== undefined, cipher: found[1] } });
  setNative('not looked for');
  setNativeCipher('not looked for');
  expect(takeChecked(true, faults)).toEqual({ native: undefined, cipher: undefined });
  expect([nativeCause(), nativeCipher() !== undefined]).toEqual(found);

  takeChecked(true, { ...FOUND, cipher: 'it seals to other bytes' });
  expect([nativeCipher(), nativeCipherCause()]).toEqual([
    undefined,
    'OpenSSL called by node:ffi does otherwise: it seals to other bytes',
  ]);
  expect(nativeCause()).toBe(found[0]);
  takeChecked(true, { ...FOUND, native: 'none were sent by one call' });
  const known = found[0] === '' ? 'many datagrams at once do not come through: none were sent by one call' : found[0];
  // Records have nothing to do with it.
  expect([nativeCause(), nativeCipher() !== undefined]).toEqual([known, found[1]]);
  takeChecked(false, FOUND);
  expect([nativeCause(), nativeCipherCause()]).toEqual(Array(2).fill('switched off by --no-native'));

  expect(isInsideKnown()).toBe(true);
  takeChecked(true, { ...FOUND, inside: 'other bytes came' });
  expect(isInsideKnown()).toBe(false);
  expect([nativeCalls(), nativeCipher()]).toEqual([undefined, undefined]);
});

test('what only is not there of Node’s inside is no reason to go without the rest, as it is none for the first', async () => {
  const shown = Object.getOwnPropertyDescriptor(process, 'binding');
  vi.resetModules();
  Object.defineProperty(process, 'binding', { value: undefined, configurable: true });
  // As both threads of such a process have it.
  const there = await import('./thread-checks.ts');
  const { isInsideKnown: isKnown } = await import('./inside/known.ts');
  if (shown !== undefined) Object.defineProperty(process, 'binding', shown);
  const faults = await there.checkThread(true);
  expect(faults).toMatchObject({ ...NONE, inside: 'there is no process.binding' });
  expect(isKnown()).toBe(true);
  expect(there.takeChecked(true, faults)).toEqual({ native: undefined, cipher: undefined });
  expect(isKnown()).toBe(true);
});

test('a thread that cannot have what the first has says why', () => {
  // Whatever the Node, it goes without here.
  trustInside(false);
  const cause = nativeCause();
  const lacks = takeChecked(true, { ...FOUND, has: BOTH });
  expect(lacks).toEqual({ native: nativeCause(), cipher: nativeCipherCause() });
  expect(Object.values(lacks).every((why) => why !== undefined && why !== '')).toBe(true);
  expect(takeChecked(true, FOUND)).toEqual({ native: undefined, cipher: undefined });
  expect(cause).not.toBe('');
});
