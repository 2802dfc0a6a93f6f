import { type CipherName, KEY_LENGTH } from './cipher.ts';
import { HandshakeError } from './errors.ts';
import { HandshakeState } from './handshake-state.ts';
import type { KeyPair, KeyPairGenerator } from './keys.ts';
import { type Session, splitSession } from './session.ts';

export interface ResponderOptions {
  /** As the preamble names it. */
  readonly cipher: CipherName;
  /** From `prologue(network)`. */
  readonly prologue: Uint8Array;
  readonly staticKey: KeyPair;
  readonly newEphemeral: KeyPairGenerator;
}

/**
 * The accepting side of one Noise IKpsk2 handshake: readMessage1 tells who calls, so that the caller can look up that
 * peer's psk, or hang up; then writeMessage2. Every throw is a HandshakeError and final.
 *
 * Message 1 can be a replay: it proves the key, not that its holder is there now. Only the first record that opens under
 * the session proves that. Until then nothing that exists may be replaced or cut on the strength of this handshake.
 */
export class Responder {
  readonly #cipher: CipherName;
  readonly #state: HandshakeState;
  #step: 'start' | 'read' | 'over' = 'start';
  #remote: { re: Buffer; rs: Buffer } | undefined;

  constructor(options: ResponderOptions) {
    this.#cipher = options.cipher;
    this.#state = new HandshakeState(
      { ...options, pattern: 'IKpsk2', s: options.staticKey },
      options.staticKey.publicKey,
    );
  }

  /** Reads message 1, which may lie in a read buffer. `remoteStatic` is the caller's X25519 public key, 32 bytes. */
  readMessage1(message: Buffer): { payload: Buffer; remoteStatic: Buffer } {
    this.#enter('start');
    const { re, rs, payload } = this.#state.readMessage1(message);
    this.#remote = { re, rs };
    this.#step = 'read';
    return { payload, remoteStatic: rs };
  }

  /** Message 2, 48 bytes longer than the payload. `psk` is that of the pair, 32 bytes. */
  writeMessage2(psk: Uint8Array, payload: Uint8Array): { message: Buffer; session: Session } {
    this.#enter('read');
    const remote = this.#remote;
    this.#remote = undefined;
    if (remote === undefined) throw new HandshakeError('wrong-order', 'message 2 before message 1');
    if (psk.length !== KEY_LENGTH) throw new HandshakeError('wrong-key-length', 'a psk is 32 bytes');
    const message = this.#state.writeMessage2(remote.re, remote.rs, psk, payload);
    return { message, session: splitSession(this.#state.symmetric, this.#cipher, 'responder') };
  }

  /** Whatever throws from here on leaves the machine over. */
  #enter(step: 'start' | 'read'): void {
    const current = this.#step;
    this.#step = 'over';
    if (current !== step) throw new HandshakeError('wrong-order', `the responder is at step ${current}, not ${step}`);
  }
}
