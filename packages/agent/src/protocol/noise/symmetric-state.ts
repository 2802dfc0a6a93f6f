import { createHash, createHmac } from 'node:crypto';
import { type CipherName, CipherState, takeKey } from './cipher.ts';

export const HASH_LENGTH = 32;
const EMPTY = Buffer.alloc(0);

/** SymmetricState of Noise section 5.2, with SHA-256: the chaining key ck, the hash h and the handshake's cipher. */
export class SymmetricState {
  readonly #cipher: CipherState;
  #ck: Buffer;
  #h: Buffer;

  /** InitializeSymmetric(protocol_name). */
  constructor(protocolName: string, cipher: CipherName) {
    const name = Buffer.from(protocolName, 'ascii');
    // A name of at most HASHLEN bytes is padded with zeros, a longer one hashed.
    this.#h = name.length <= HASH_LENGTH ? Buffer.concat([name], HASH_LENGTH) : hash(name);
    this.#ck = Buffer.from(this.#h);
    this.#cipher = new CipherState(cipher, undefined);
  }

  /** GetHandshakeHash(): 32 bytes that both sides share and no other handshake has. */
  get handshakeHash(): Buffer {
    return Buffer.from(this.#h);
  }

  /** MixHash(data): h = HASH(h || data). */
  mixHash(data: Uint8Array): void {
    this.#h = hash(this.#h, data);
  }

  /** MixKey(input_key_material): ck, temp_k = HKDF(ck, input_key_material, 2). */
  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, tempK] = hkdf2(this.#ck, inputKeyMaterial);
    this.#ck = ck;
    this.#cipher.initializeKey(takeKey(tempK));
  }

  /** MixKeyAndHash(input_key_material), for psk: ck, temp_h, temp_k = HKDF(ck, input_key_material, 3). */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, tempH, tempK] = hkdf3(this.#ck, inputKeyMaterial);
    this.#ck = ck;
    this.mixHash(tempH);
    this.#cipher.initializeKey(takeKey(tempK));
  }

  /** EncryptAndHash(plaintext). */
  encryptAndHash(plaintext: Uint8Array): Buffer {
    const ciphertext = this.#cipher.encryptWithAd(this.#h, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** DecryptAndHash(ciphertext). Throws CipherError 'forged', and h is then not changed. */
  decryptAndHash(ciphertext: Buffer): Buffer {
    const plaintext = this.#cipher.decryptWithAd(this.#h, ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /**
   * The two raw keys of HKDF(ck, label, 2), first the initiator's sending key. Split() is the empty label (section 5.2);
   * any other label gives keys of its own for another use, which tell nothing of these.
   */
  split(label: Uint8Array = EMPTY): [initiatorToResponder: Buffer, responderToInitiator: Buffer] {
    return hkdf2(this.#ck, label);
  }
}

function hash(...parts: readonly Uint8Array[]): Buffer {
  const sha = createHash('sha256');
  for (const part of parts) sha.update(part);
  return sha.digest();
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF(chaining_key, input_key_material, 2) of section 4.3. */
function hkdf2(chainingKey: Uint8Array, inputKeyMaterial: Uint8Array): [Buffer, Buffer] {
  const tempKey = hmac(chainingKey, inputKeyMaterial);
  const output1 = hmac(tempKey, Buffer.of(1));
  return [output1, hmac(tempKey, output1, Buffer.of(2))];
}

/** HKDF(chaining_key, input_key_material, 3) of section 4.3. */
function hkdf3(chainingKey: Uint8Array, inputKeyMaterial: Uint8Array): [Buffer, Buffer, Buffer] {
  const tempKey = hmac(chainingKey, inputKeyMaterial);
  const output1 = hmac(tempKey, Buffer.of(1));
  const output2 = hmac(tempKey, output1, Buffer.of(2));
  return [output1, output2, hmac(tempKey, output2, Buffer.of(3))];
}
