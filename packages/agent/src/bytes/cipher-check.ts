/**
 * Asks at the start of a process, by its first thread, whether OpenSSL, called past node:crypto, seals and opens as node:crypto does, before anything of
 * the network's is. Where it does not, node:crypto seals and opens: slower, and not wrong.
 */
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { messageOf } from '@weft/proto';
import type { CipherName } from '../words/cipher-name.ts';
import { nativeCalls, nativeCause, setNativeCipher } from './inside/known.ts';
import { findCipher, type NativeCipher } from './inside/native-cipher.ts';

export { nativeCipherCause } from './inside/known.ts';

const KEY = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const PLAINTEXT = randomBytes(40_000);
/** What is sealed piece by piece, each of another alignment. */
const PLANS = [[1], [16, 16], [9, 20_000], [31, 1, 4_097, 5], [40_000]];
const COUNTERS = [0, 1, 2 ** 40 + 3];
const TAG_LENGTH = 16;
const CIPHERS: readonly CipherName[] = ['AESGCM', 'ChaChaPoly'];
/** What is shown otherwise than it was sealed. */
const FORGERIES = ['tag', 'ciphertext', 'additional data', 'nothing'] as const;

/**
 * By the first thread of a process, where it has native calls: what is sealed in memory that is used again wants to be sent from there. Answers what
 * went wrong, and that node:crypto does it all; undefined where all is well, or there is none.
 */
export function startCipher(): string | undefined {
  const found = nativeCalls() === undefined ? nativeCause() : findCipher();
  let fault: string | undefined;
  try {
    if (typeof found !== 'string') checkCipher(found);
  } catch (error) {
    fault = messageOf(error);
  }
  setNativeCipher(fault === undefined ? found : otherwise(fault));
  return fault;
}

/** As another thread of this process has found it: what went wrong there, if anything did. */
export function takeCipher(fault: string | undefined): void {
  if (fault !== undefined) setNativeCipher(otherwise(fault));
  else setNativeCipher(nativeCalls() === undefined ? nativeCause() : findCipher());
}

/** As status tells it. */
function otherwise(fault: string): string {
  return `OpenSSL called by node:ffi does otherwise: ${fault}`;
}

/**
 * Throws what is wrong. A cipher that node:crypto does not have either, as where only those of FIPS are permitted, no tunnel uses; `has` tells whether it does.
 * Where it has none, nothing can be compared, and that is thrown.
 */
export function checkCipher(cipher: Pick<NativeCipher, 'newKey'>, has: (name: CipherName) => boolean = nodeHas): void {
  const key = createSecretKey(KEY);
  const names = CIPHERS.filter(has);
  if (names.length === 0) throw new Error('node:crypto has no cipher to compare it with');
  for (const name of names) {
    const keys: Key[] = [];
    try {
      for (const use of ['seal', 'open'] as const) keys.push(cipher.newKey(name, key, use));
      const [sealing, opening] = keys as [Key, Key];
      for (const counter of COUNTERS) {
        for (const plan of PLANS) check(name, sealing, opening, counter, plan);
      }
    } finally {
      for (const made of keys) made.forget();
    }
  }
}

type Key = ReturnType<NativeCipher['newKey']>;

function check(name: CipherName, sealing: Key, opening: Key, counter: number, plan: readonly number[]): void {
  const length = plan.reduce((sum, piece) => sum + piece, 0);
  const additional = PLAINTEXT.subarray(0, 4);
  const expected = sealedByNode(name, counter, additional, PLAINTEXT.subarray(0, length));
  const target = Buffer.alloc(length + TAG_LENGTH + 1);
  sealing.start(counter, additional);
  let at = 0;
  for (const [index, piece] of plan.entries()) {
    let from: Buffer = PLAINTEXT.subarray(at, at + piece);
    if (index % 2 === 1) {
      // In place, as small pieces among long ones are.
      from.copy(target, at);
      from = target.subarray(at, at + piece);
    }
    sealing.update(from, target, at);
    at += piece;
  }
  sealing.writeTag(target, at);
  if (!target.subarray(0, -1).equals(expected) || target.at(-1) !== 0) throw new Error('it seals to other bytes');
  const [ciphertext, tag] = [target.subarray(0, length), target.subarray(length, length + TAG_LENGTH)];
  for (const forgery of FORGERIES) {
    const shown = {
      tag: forgery === 'tag' ? flipped(tag, counter) : tag,
      ciphertext: forgery === 'ciphertext' ? flipped(ciphertext, counter) : ciphertext,
      additional: forgery === 'additional data' ? flipped(additional, counter) : additional,
    };
    for (const pieces of [[length], plan]) {
      opening.start(counter, shown.additional);
      const opened = openedBy(opening, shown.ciphertext, pieces);
      const proved = opening.proves(shown.tag);
      if (proved !== (forgery === 'nothing'))
        throw new Error(proved ? `it takes forged ${forgery}` : 'it refuses what is right');
      if (proved && !opened.equals(PLAINTEXT.subarray(0, length))) throw new Error('it opens to other bytes');
    }
  }
}

/** In place where it comes whole, as records are that come in small bits; else from where it lies. */
function openedBy(opening: Key, ciphertext: Buffer, pieces: readonly number[]): Buffer {
  const whole = pieces.length === 1;
  const opened = whole ? Buffer.from(ciphertext) : Buffer.alloc(ciphertext.length);
  let at = 0;
  for (const piece of pieces) {
    opening.update((whole ? opened : ciphertext).subarray(at, at + piece), opened, at);
    at += piece;
  }
  return opened;
}

function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  const place = at % bytes.length;
  other[place] = (other[place] ?? 0) ^ 1;
  return other;
}

function nodeHas(name: CipherName): boolean {
  try {
    sealedByNode(name, 0, Buffer.alloc(0), Buffer.alloc(1));
    return true;
  } catch {
    return false;
  }
}

function sealedByNode(name: CipherName, counter: number, additional: Buffer, plaintext: Buffer): Buffer {
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
