/** A key in a form to compare by eye: both programs show it, so both must show the same. */
import { createHash } from 'node:crypto';

/** `SHA256:` and the first 16 bytes of the key's digest in hexadecimal: 128 bits, so that no key is made to look like another. */
export function keyFingerprint(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}
