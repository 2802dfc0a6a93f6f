import { type CipherName, KEY_LENGTH } from './cipher.ts';
import { HandshakeError } from './errors.ts';
import { HandshakeState } from './handshake-state.ts';
import { DH_LENGTH, type KeyPair, type KeyPairGenerator } from './keys.ts';
import { type Session, splitSession } from './session.ts';

export interface InitiatorOptions {
  readonly cipher: CipherName;
  /** From `prologue(network)`. */
  readonly prologue: Uint8Array;
  readonly staticKey: KeyPair;
  /** The peer's X25519 public key, 32 bytes. */
  readonly remoteStatic: Uint8Array;
  /** Pre-shared key of the pair, 32 bytes. */
  readonly psk: Uint8Array;
  readonly newEphemeral: KeyPairGenerator;
}

/**
 * The dialling side of one Noise IKpsk2 handshake: writeMessage1, then readMessage2. Every throw is a HandshakeError and
 * final. Message 2 proves the peer: only it could have answered, and it did so now.
 */
export class Initiator {
  readonly #options: InitiatorOptions;
  readonly #state: HandshakeState;
  #step: 'start' | 'sent' | 'over' = 'start';
  #e: KeyPair | undefined;

  constructor(options: InitiatorOptions) {
    if (options.psk.length !== KEY_LENGTH) throw new HandshakeError('wrong-key-length', 'a psk is 32 bytes');
    if (options.remoteStatic.length !== DH_LENGTH) {
      throw new HandshakeError('wrong-key-length', 'an X25519 public key is 32 bytes');
    }
    this.#options = options;
    this.#state = new HandshakeState({ ...options, pattern: 'IKpsk2', s: options.staticKey }, options.remoteStatic);
  }

  /** Message 1, 96 bytes longer than the payload. The payload has no forward secrecy: who later gets the peer's static key reads it. */
  writeMessage1(payload: Uint8Array): Buffer {
    this.#enter('start');
    const { message, e } = this.#state.writeMessage1(this.#options.remoteStatic, payload);
    this.#e = e;
    this.#step = 'sent';
    return message;
  }

  /** Reads the answer: the handshake is done. The message may lie in a read buffer. */
  readMessage2(message: Buffer): { payload: Buffer; session: Session } {
    this.#enter('sent');
    const e = this.#e;
    this.#e = undefined;
    if (e === undefined) throw new HandshakeError('wrong-order', 'message 2 before message 1');
    const payload = this.#state.readMessage2(e, this.#options.psk, message);
    return { payload, session: splitSession(this.#state.symmetric, this.#options.cipher, 'initiator') };
  }

  /** Whatever throws from here on leaves the machine over. */
  #enter(step: 'start' | 'sent'): void {
    const current = this.#step;
    this.#step = 'over';
    if (current !== step) throw new HandshakeError('wrong-order', `the initiator is at step ${current}, not ${step}`);
  }
}
