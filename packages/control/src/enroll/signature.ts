/** Ed25519 (RFC 8032). */
import { createPublicKey, verify } from 'node:crypto';

/** What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410). */
const PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Whether `key`, 32 bytes, signed the message. By node:crypto and not by tweetnacl, which takes 7 ms for it where this takes
 * 0.2: after a restart of control every agent says hello at once, and two thousand of them would hold up the loop for a
 * quarter of a minute.
 */
export function isSignedBy(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const publicKey = createPublicKey({ key: Buffer.concat([PREFIX, key]), format: 'der', type: 'spki' });
  return verify(null, message, publicKey, signature);
}
