/**
 * A record:  length 0..3, big-endian, of what follows · ciphertext 4.. · tag, the last 16 bytes.
 * The four length bytes are the AEAD's additional data, so a changed length does not open.
 */
import { TAG_LENGTH } from '../noise/cipher.ts';

export { TAG_LENGTH };
export const HEADER_LENGTH = 4;
/** Plaintext bytes of one record at most; also the most an opener holds. */
export const MAXIMUM_PLAINTEXT = 256 * 1024;
/** An empty record would say nothing and cost as much as a full one: there are none. */
export const MINIMUM_PLAINTEXT = 1;
