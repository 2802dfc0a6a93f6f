/**
 * What lies under Node, asked before any of the network's bytes go through it: by the first thread of a process, and told to the others, for which it is
 * the same Node on the same system.
 */
import { startCipher, takeCipher } from './cipher-check.ts';
import {
  leaveDatagrams,
  nativeCalls,
  nativeCause,
  nativeCipher,
  nativeCipherCause,
  setNative,
  trustInside,
} from './inside/known.ts';
import { findNative } from './inside/native-calls.ts';
import { missing } from './inside/tcp-inside.ts';
import { notThrough, SWITCHED_OFF, startNative } from './native-check.ts';
import { checkInside } from './self-check.ts';

/** What went wrong, and is done without; undefined where nothing did, or where it was not looked for. Plain values. */
export interface Faults {
  /** Of many datagrams by one call. */
  readonly native: string | undefined;
  /** Of connections on handles. */
  readonly inside: string | undefined;
  /** Of OpenSSL called past node:crypto. */
  readonly cipher: string | undefined;
  /** What the thread goes by that looked: calls of node:ffi, and OpenSSL by them. */
  readonly has: { readonly native: boolean; readonly cipher: boolean };
}

/** Why a thread goes without; undefined where it does not, or the one that looked does too. */
export type Lacks = Pick<Faults, 'native' | 'cipher'>;

/** `native`: whether many datagrams by one call are wanted. */
export async function checkThread(native: boolean): Promise<Faults> {
  const singly = await startNative(native);
  // With what reaches under Node by node:ffi, too.
  const inside = await checkInside();
  const cipher = startCipher();
  const has = { native: nativeCalls() !== undefined, cipher: nativeCipher() !== undefined };
  return { native: singly, inside, cipher, has };
}

/** As another thread of this process has found it. Answers why this one has not what that one has, as where a library cannot be opened again. */
export function takeChecked(native: boolean, faults: Faults): Lacks {
  setNative(native ? findNative() : SWITCHED_OFF);
  if (faults.native !== undefined) leaveDatagrams(notThrough(faults.native));
  // What is only not there was found so here, too, and says nothing of the rest.
  if (faults.inside !== undefined && faults.inside !== missing) trustInside(false);
  takeCipher(faults.cipher);
  const { has } = faults;
  return {
    native: has.native && nativeCalls() === undefined ? nativeCause() : undefined,
    cipher: has.cipher && nativeCipher() === undefined ? nativeCipherCause() : undefined,
  };
}
