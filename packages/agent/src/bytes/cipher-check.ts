/**
 * Asks at the start of a process whether OpenSSL, called past node:crypto, seals and opens as node:crypto does, before anything of
 * the network's is. Where it does not, node:crypto seals and opens: slower, and not wrong.
 */
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { messageOf } from '@weft/proto';
import { nativeCalls, setNativeCipher } from './inside/known.ts';
import { findCipher, type NativeCipher } from './inside/native-cipher.ts';

const KEY = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const PLAINTEXT = randomBytes(40_000);
/** What is sealed piece by piece, each of another alignment. */
const PLANS = [[1], [16, 16], [9, 20_000], [31, 1, 4_097, 5], [40_000]];
const COUNTERS = [0, 1, 2 ** 40 + 3];
const TAG_LENGTH = 16;

/**
 * Of this thread, where it has native calls: what is sealed in memory that is used again wants to be sent from there. Answers what
 * went wrong, and that node:crypto does it all; undefined where all is well, or there is none.
 */
export function startCipher(): string | undefined {
  const found = nativeCalls() && findCipher();
  setNativeCipher(undefined);
  if (found === undefined || typeof found === 'string') return undefined;
  try {
    checkCipher(found);
  } catch (error) {
    return messageOf(error);
  }
  setNativeCipher(found);
  return undefined;
}

/** Throws what is wrong. */
export function checkCipher(cipher: Pick<NativeCipher, 'newKey'>): void {
  for (const name of ['AESGCM', 'ChaChaPoly'] as const) {
    const [sealing, opening] = (['seal', 'open'] as const).map((use) => cipher.newKey(name, createSecretKey(KEY), use));
    if (sealing === undefined || opening === undefined) return;
    try {
      for (const counter of COUNTERS) {
        for (const plan of PLANS) check(name, sealing, opening, counter, plan);
      }
    } finally {
      sealing.forget();
      opening.forget();
    }
  }
}

type Key = ReturnType<NativeCipher['newKey']>;

function check(
  name: 'AESGCM' | 'ChaChaPoly',
  sealing: Key,
  opening: Key,
  counter: number,
  plan: readonly number[],
): void {
  const length = plan.reduce((sum, piece) => sum + piece, 0);
  const additional = PLAINTEXT.subarray(0, 4);
  const expected = sealedByNode(name, counter, additional, PLAINTEXT.subarray(0, length));
  const target = Buffer.alloc(length + TAG_LENGTH + 1);
  sealing.start(counter, additional);
  let at = 0;
  for (const piece of plan) {
    sealing.update(PLAINTEXT.subarray(at, at + piece), target, at);
    at += piece;
  }
  sealing.writeTag(target, at);
  if (!target.subarray(0, -1).equals(expected) || target.at(-1) !== 0) throw new Error('it seals to other bytes');
  const [ciphertext, tag] = [target.subarray(0, length), target.subarray(length, length + TAG_LENGTH)];
  for (const forged of [true, false]) {
    const opened = Buffer.from(ciphertext);
    const shown = Buffer.from(tag);
    if (forged) shown[counter % TAG_LENGTH] = (shown[counter % TAG_LENGTH] ?? 0) ^ 1;
    opening.start(counter, additional);
    // In place, as records that come in small bits are.
    opening.update(opened, opened, 0);
    if (opening.proves(shown) === forged) throw new Error(forged ? 'it takes a forged tag' : 'it refuses a right tag');
    if (!opened.equals(PLAINTEXT.subarray(0, length))) throw new Error('it opens to other bytes');
  }
}

function sealedByNode(name: 'AESGCM' | 'ChaChaPoly', counter: number, additional: Buffer, plaintext: Buffer): Buffer {
  const nonce = Buffer.alloc(12);
  if (name === 'AESGCM') nonce.writeBigUInt64BE(BigInt(counter), 4);
  else nonce.writeBigUInt64LE(BigInt(counter), 4);
  const options = { authTagLength: TAG_LENGTH };
  const cipher =
    name === 'AESGCM'
      ? createCipheriv('aes-256-gcm', KEY, nonce, options)
      : createCipheriv('chacha20-poly1305', KEY, nonce, options);
  cipher.setAAD(additional, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
