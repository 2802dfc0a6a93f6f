/** X25519 (RFC 7748) on node:crypto. Raw 32-byte keys enter through their fixed DER prefixes, the fastest way node has. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { HandshakeError } from './errors.ts';

export const DH_LENGTH = 32;

/** PrivateKeyInfo of RFC 8410, up to the 32 secret bytes. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** SubjectPublicKeyInfo of RFC 8410, up to the 32 public bytes. */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

export interface KeyPair {
  /** 32 bytes, as they go on the wire. */
  readonly publicKey: Buffer;
  readonly privateKey: KeyObject;
}

/** GENERATE_KEYPAIR(), handed in because the core has no randomness of its own: `() => keyPairFromSecret(randomBytes(32))`. */
export type KeyPairGenerator = () => KeyPair;

/**
 * The pair of a 32-byte secret. Costs about 80 µs: do it once for a static key. Throws HandshakeError 'wrong-key-length'.
 */
export function keyPairFromSecret(secret: Uint8Array): KeyPair {
  if (secret.length !== DH_LENGTH) {
    throw new HandshakeError('wrong-key-length', `an X25519 secret is 32 bytes, not ${secret.length}`);
  }
  const der = Buffer.concat([PKCS8_PREFIX, secret]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { publicKey: Buffer.from(spki.subarray(SPKI_PREFIX.length)), privateKey };
}

/**
 * DH(key_pair, public_key): 32 bytes. Throws HandshakeError 'low-order-point' where the output would be all zero
 * (RFC 7748 section 6.1): such a key lets anyone know the "secret".
 */
export function dh(pair: KeyPair, publicKey: Uint8Array): Buffer {
  if (publicKey.length !== DH_LENGTH) {
    throw new HandshakeError('wrong-key-length', `an X25519 public key is 32 bytes, not ${publicKey.length}`);
  }
  const remote = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  let output: Buffer;
  try {
    output = diffieHellman({ privateKey: pair.privateKey, publicKey: remote });
  } catch (cause) {
    // OpenSSL refuses an all-zero output itself; it has no other way to fail on a 32-byte key.
    throw new HandshakeError('low-order-point', 'the public key has low order', { cause });
  }
  if (output.every((byte) => byte === 0)) {
    throw new HandshakeError('low-order-point', 'the public key has low order');
  }
  return output;
}
