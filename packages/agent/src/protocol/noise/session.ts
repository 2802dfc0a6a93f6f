import type { KeyObject } from 'node:crypto';
import { type CipherName, takeKey } from './cipher.ts';
import type { SymmetricState } from './symmetric-state.ts';

/** What a finished handshake gives each side. Keys are 32 bytes each, one to a direction and a use. */
export interface Session {
  readonly cipher: CipherName;
  /** For the RecordSealer. */
  readonly sendKey: KeyObject;
  /** For the RecordOpener. */
  readonly receiveKey: KeyObject;
  readonly datagramSendKey: KeyObject;
  readonly datagramReceiveKey: KeyObject;
  /** h, 32 bytes: names this session; a re-handshake inside it binds to it. Not secret. */
  readonly handshakeHash: Buffer;
}

const DATAGRAM_LABEL = Buffer.from('weft/1 datagram', 'ascii');

/**
 * Split() of Noise section 5.2: HKDF(ck, zerolen, 2) for records. Datagram keys are HKDF(ck, "weft/1 datagram", 2) of the
 * same final chaining key.
 */
export function splitSession(symmetric: SymmetricState, cipher: CipherName, role: 'initiator' | 'responder'): Session {
  const [recordsForth, recordsBack] = symmetric.split().map(takeKey) as [KeyObject, KeyObject];
  const [datagramsForth, datagramsBack] = symmetric.split(DATAGRAM_LABEL).map(takeKey) as [KeyObject, KeyObject];
  const initiator = role === 'initiator';
  return {
    cipher,
    sendKey: initiator ? recordsForth : recordsBack,
    receiveKey: initiator ? recordsBack : recordsForth,
    datagramSendKey: initiator ? datagramsForth : datagramsBack,
    datagramReceiveKey: initiator ? datagramsBack : datagramsForth,
    handshakeHash: symmetric.handshakeHash,
  };
}
