import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkCipher } from './cipher-check.ts';
import type { NativeCipher } from './inside/native-cipher.ts';

type Fault = 'none' | 'another nonce' | 'one byte too much' | 'takes any tag' | 'takes no tag' | 'opens to zeros';
type Key = ReturnType<NativeCipher['newKey']>;

/** By node:crypto, but for one fault; how many keys there are that were not forgotten. */
function cipherWith(fault: Fault) {
  const cipher = {
    alive: 0,
    newKey(name: 'AESGCM' | 'ChaChaPoly', key: KeyObject, use: 'seal' | 'open'): Key {
      let aead: CipherGCM | DecipherGCM;
      const options = { authTagLength: 16 };
      cipher.alive += 1;
      return {
        start(counter: number, additional: Uint8Array) {
          const nonce = Buffer.alloc(12);
          if (name === 'AESGCM') nonce.writeBigUInt64BE(BigInt(counter), 4);
          else nonce.writeBigUInt64LE(BigInt(counter), 4);
          if (fault === 'another nonce' && counter > 2 ** 32) nonce.fill(0);
          const algorithm = name === 'AESGCM' ? 'aes-256-gcm' : ('chacha20-poly1305' as 'aes-256-gcm');
          aead = (use === 'seal' ? createCipheriv : createDecipheriv)(algorithm, key, nonce, options) as CipherGCM;
          aead.setAAD(additional, { plaintextLength: 0 });
        },
        update(input: Uint8Array, target: Uint8Array, at: number) {
          target.set(aead.update(input), at);
          if (fault === 'opens to zeros' && use === 'open') target.fill(0);
        },
        writeTag(target: Uint8Array, at: number) {
          aead.final();
          target.set((aead as CipherGCM).getAuthTag(), at);
          if (fault === 'one byte too much') target[at + 16] = 1;
        },
        proves(tag: Uint8Array) {
          (aead as DecipherGCM).setAuthTag(tag);
          try {
            aead.final();
            return fault !== 'takes no tag';
          } catch {
            return fault === 'takes any tag';
          }
        },
        forget() {
          cipher.alive -= 1;
        },
      } as Key;
    },
  };
  return cipher;
}

test.each([
  ['another nonce', 'it seals to other bytes'],
  ['one byte too much', 'it seals to other bytes'],
  ['takes any tag', 'it takes a forged tag'],
  ['takes no tag', 'it refuses a right tag'],
  ['opens to zeros', 'it opens to other bytes'],
] as const)('a cipher is found out that has %s', (fault, told) => {
  const cipher = cipherWith(fault);
  expect(() => checkCipher(cipher)).toThrow(told);
  expect(cipher.alive).toBe(0);
});

test('one that does as node:crypto does is taken, and keeps no key', () => {
  const cipher = cipherWith('none');
  checkCipher(cipher);
  expect(cipher.alive).toBe(0);
});
