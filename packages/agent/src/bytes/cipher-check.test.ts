import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkCipher } from './cipher-check.ts';
import type { NativeCipher } from './inside/native-cipher.ts';

type Fault =
  | 'none'
  | 'another nonce'
  | 'one byte too much'
  | 'takes any tag'
  | 'takes no tag'
  | 'opens to zeros'
  | 'looks at the tag alone'
  | 'seals otherwise in place'
  | 'opens otherwise in parts'
  | 'makes no key to open';
type Key = ReturnType<NativeCipher['newKey']>;

/** By node:crypto, but for one fault; how many keys there are that were not forgotten. */
function cipherWith(fault: Fault) {
  const cipher = {
    alive: 0,
    tag: Buffer.alloc(0),
    newKey(name: 'AESGCM' | 'ChaChaPoly', key: KeyObject, use: 'seal' | 'open'): Key {
      let aead: CipherGCM | DecipherGCM;
      const options = { authTagLength: 16 };
      if (fault === 'makes no key to open' && use === 'open') throw new Error('no key to open');
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
          if (fault === 'seals otherwise in place' && use === 'seal' && input.buffer === target.buffer) target[at] = 1;
          if (fault === 'opens otherwise in parts' && use === 'open' && at > 0) target[at] = ~(target[at] ?? 0);
        },
        writeTag(target: Uint8Array, at: number) {
          aead.final();
          cipher.tag = (aead as CipherGCM).getAuthTag();
          target.set(cipher.tag, at);
          if (fault === 'one byte too much') target[at + 16] = 1;
        },
        proves(tag: Uint8Array) {
          if (fault === 'looks at the tag alone') return cipher.tag.equals(tag);
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
  ['takes any tag', 'it takes forged tag'],
  ['takes no tag', 'it refuses what is right'],
  ['opens to zeros', 'it opens to other bytes'],
  ['looks at the tag alone', 'it takes forged ciphertext'],
  ['seals otherwise in place', 'it seals to other bytes'],
  ['opens otherwise in parts', 'it opens to other bytes'],
  ['makes no key to open', 'no key to open'],
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

test.each([
  ['AESGCM', 'ChaChaPoly'],
  ['ChaChaPoly', 'AESGCM'],
] as const)('of OpenSSL is asked for %s alone where node:crypto does not have %s', (present, absent) => {
  const cipher = cipherWith('none');
  const asked = new Set<string>();
  const newKey = (name: typeof present | typeof absent, key: KeyObject, use: 'seal' | 'open') => {
    asked.add(name);
    return cipher.newKey(name, key, use);
  };
  checkCipher({ newKey }, (name) => name === present);
  expect([...asked]).toEqual([present]);
  expect(cipher.alive).toBe(0);
});

test('nothing is sealed in place where node:crypto has no cipher that it could be compared by', () => {
  expect(() => checkCipher(cipherWith('none'), () => false)).toThrow('node:crypto has no cipher to compare it with');
});
