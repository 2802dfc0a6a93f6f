import { type CipherName, TAG_LENGTH } from './cipher.ts';
import { CipherError, HandshakeError } from './errors.ts';
import { DH_LENGTH, dh, type KeyPair, type KeyPairGenerator } from './keys.ts';
import { SymmetricState } from './symmetric-state.ts';

/**
 * IK:      <- s  ...  -> e, es, s, ss   <- e, ee, se
 * IKpsk2:  <- s  ...  -> e, es, s, ss   <- e, ee, se, psk
 */
export type Pattern = 'IK' | 'IKpsk2';

/** Bytes of a payload at most, in either message. */
export const MAXIMUM_PAYLOAD = 4096;
/** Message 1: e 0..31 · s 32..79 (key and tag) · payload 80.. (and tag). */
export const MESSAGE1_OVERHEAD = DH_LENGTH + DH_LENGTH + TAG_LENGTH + TAG_LENGTH;
/** Message 2: e 0..31 · payload 32.. (and tag). */
export const MESSAGE2_OVERHEAD = DH_LENGTH + TAG_LENGTH;

const S_START = DH_LENGTH;
const S_END = S_START + DH_LENGTH + TAG_LENGTH;

export interface HandshakeOptions {
  readonly pattern: Pattern;
  readonly cipher: CipherName;
  readonly prologue: Uint8Array;
  /** The local static key pair. */
  readonly s: KeyPair;
  readonly newEphemeral: KeyPairGenerator;
}

/**
 * HandshakeState of Noise section 5.3, only as general as IK and IKpsk2. The letters are the specification's: s and e are
 * local keys, rs and re the other side's. Order of calls is kept by Initiator and Responder.
 */
export class HandshakeState {
  readonly symmetric: SymmetricState;
  readonly #psk: boolean;
  readonly #s: KeyPair;
  readonly #newEphemeral: KeyPairGenerator;

  /** Initialize(pattern, initiator, prologue, s, e, rs, re). `responderStatic` is the pre-message `<- s`. */
  constructor(options: HandshakeOptions, responderStatic: Uint8Array) {
    this.symmetric = new SymmetricState(`Noise_${options.pattern}_25519_${options.cipher}_SHA256`, options.cipher);
    this.#psk = options.pattern === 'IKpsk2';
    this.#s = options.s;
    this.#newEphemeral = options.newEphemeral;
    this.symmetric.mixHash(options.prologue);
    // <- s
    this.symmetric.mixHash(responderStatic);
  }

  /** Initiator: message 1, and the ephemeral pair that message 2 will be read with. */
  writeMessage1(rs: Uint8Array, payload: Uint8Array): { message: Buffer; e: KeyPair } {
    boundPayload(payload);
    // -> e, es, s, ss
    const e = this.#newEphemeral();
    this.#mixEphemeral(e.publicKey);
    this.symmetric.mixKey(dh(e, rs));
    const s = this.symmetric.encryptAndHash(this.#s.publicKey);
    this.symmetric.mixKey(dh(this.#s, rs));
    return { message: Buffer.concat([e.publicKey, s, this.symmetric.encryptAndHash(payload)]), e };
  }

  /** Responder: who calls (rs), the ephemeral that message 2 answers (re), and the payload. */
  readMessage1(message: Buffer): { re: Buffer; rs: Buffer; payload: Buffer } {
    boundMessage(message, MESSAGE1_OVERHEAD);
    // -> e, es, s, ss
    const re = Buffer.from(message.subarray(0, S_START));
    this.#mixEphemeral(re);
    this.symmetric.mixKey(dh(this.#s, re));
    const rs = this.#open(message.subarray(S_START, S_END));
    this.symmetric.mixKey(dh(this.#s, rs));
    return { re, rs, payload: this.#open(message.subarray(S_END)) };
  }

  /** Responder: message 2. `psk` is not used by plain IK. */
  writeMessage2(re: Uint8Array, rs: Uint8Array, psk: Uint8Array, payload: Uint8Array): Buffer {
    boundPayload(payload);
    // <- e, ee, se, psk
    const e = this.#newEphemeral();
    this.#mixEphemeral(e.publicKey);
    this.symmetric.mixKey(dh(e, re));
    this.symmetric.mixKey(dh(e, rs));
    this.#mixPsk(psk);
    return Buffer.concat([e.publicKey, this.symmetric.encryptAndHash(payload)]);
  }

  /** Initiator: the payload of message 2. `psk` is not used by plain IK. */
  readMessage2(e: KeyPair, psk: Uint8Array, message: Buffer): Buffer {
    boundMessage(message, MESSAGE2_OVERHEAD);
    // <- e, ee, se, psk
    const re = message.subarray(0, DH_LENGTH);
    this.#mixEphemeral(re);
    this.symmetric.mixKey(dh(e, re));
    this.symmetric.mixKey(dh(this.#s, re));
    this.#mixPsk(psk);
    return this.#open(message.subarray(DH_LENGTH));
  }

  /** The token e. With a psk the ephemeral also goes into the key, so that the key never rests on the psk alone (section 9.2). */
  #mixEphemeral(publicKey: Uint8Array): void {
    this.symmetric.mixHash(publicKey);
    if (this.#psk) this.symmetric.mixKey(publicKey);
  }

  #mixPsk(psk: Uint8Array): void {
    if (this.#psk) this.symmetric.mixKeyAndHash(psk);
  }

  #open(ciphertext: Buffer): Buffer {
    try {
      return this.symmetric.decryptAndHash(ciphertext);
    } catch (cause) {
      if (!(cause instanceof CipherError)) throw cause;
      throw new HandshakeError('forged', 'a handshake message does not prove itself', { cause });
    }
  }
}

function boundPayload(payload: Uint8Array): void {
  if (payload.length > MAXIMUM_PAYLOAD) {
    throw new HandshakeError('payload-too-long', `a handshake payload is at most 4096 bytes, not ${payload.length}`);
  }
}

function boundMessage(message: Buffer, overhead: number): void {
  if (message.length < overhead || message.length > overhead + MAXIMUM_PAYLOAD) {
    throw new HandshakeError('wrong-length', `a handshake message of ${message.length} bytes`);
  }
}
