/**
 * What lies under Node, asked before any of the network's bytes go through it: by the first thread of a process, and told to the others, for which it is
 * the same Node on the same system.
 */
import { startCipher, takeCipher } from './cipher-check.ts';
import { leaveDatagrams, setNative, trustInside } from './inside/known.ts';
import { findNative } from './inside/native-calls.ts';
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
}

/** `native`: whether many datagrams by one call are wanted. */
export async function checkThread(native: boolean): Promise<Faults> {
  const singly = await startNative(native);
  // With what reaches under Node by node:ffi, too.
  const inside = await checkInside();
  return { native: singly, inside, cipher: startCipher() };
}

/** As another thread of this process has found it. */
export function takeChecked(native: boolean, faults: Faults): void {
  setNative(native ? findNative() : SWITCHED_OFF);
  if (faults.native !== undefined) leaveDatagrams(notThrough(faults.native));
  if (faults.inside !== undefined) trustInside(false);
  takeCipher(faults.cipher);
}
