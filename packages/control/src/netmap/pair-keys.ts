/**
 * The pre-shared key of each pair of agents (Noise psk2): HKDF-SHA256 (RFC 5869), no salt, keyed by the network's secret,
 * info = both X25519 tunnel keys, the lower first. An agent is given the keys of its own pairs and never the secret.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

export class PairKeys {
  /** HKDF's extract step is the same for every pair, so it is done once. */
  readonly #extracted: KeyObject;

  /** `secret` is the network's, 32 bytes. */
  constructor(secret: Uint8Array) {
    this.#extracted = createSecretKey(createHmac('sha256', Buffer.alloc(32)).update(secret).digest());
  }

  /** 32 bytes, the same whichever key comes first. */
  of(oneKey: Uint8Array, otherKey: Uint8Array): Uint8Array {
    const inOrder = Buffer.compare(oneKey, otherKey) <= 0;
    // One block of HKDF's expand step is all 32 bytes: HMAC(extracted, info || 0x01).
    const block = createHmac('sha256', this.#extracted)
      .update(inOrder ? oneKey : otherKey)
      .update(inOrder ? otherKey : oneKey)
      .update(FIRST_BLOCK)
      .digest();
    return new Uint8Array(block);
  }
}

const FIRST_BLOCK = Uint8Array.of(1);
