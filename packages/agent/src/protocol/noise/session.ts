import type { KeyObject } from 'node:crypto';
import { type CipherName, takeKey } from './cipher.ts';
import { SmallKey } from './small-cipher.ts';
import type { SymmetricState } from './symmetric-state.ts';

/** What seals one direction of one use; 32 bytes each key. */
export interface DirectionKeys {
  readonly cipher: CipherName;
  readonly key: KeyObject;
  /** For what is at most SMALL_LIMIT bytes; undefined where the peer is of before that, and `key` seals all. */
  readonly small: SmallKey | undefined;
}

/** What a finished handshake gives each side. */
export interface Session {
  readonly cipher: CipherName;
  /** For the RecordSealer. */
  readonly send: DirectionKeys;
  /** For the RecordOpener. */
  readonly receive: DirectionKeys;
  readonly datagramSend: DirectionKeys;
  readonly datagramReceive: DirectionKeys;
  /** h, 32 bytes: names this session; a re-handshake inside it binds to it. Not secret. */
  readonly handshakeHash: Buffer;
}

/** Each use has keys of its own; with the empty one it is Split(). */
const LABELS = {
  records: '',
  smallRecords: 'weft/1 small records',
  datagrams: 'weft/1 datagram',
  smallDatagrams: 'weft/1 small datagrams',
} as const;

/**
 * Split() of Noise section 5.2, HKDF(ck, zerolen, 2), for records; HKDF(ck, label, 2) of the same final chaining key for what
 * else there is to seal.
 */
export function splitSession(symmetric: SymmetricState, cipher: CipherName, role: 'initiator' | 'responder'): Session {
  const use = (label: string, smallLabel: string): { send: DirectionKeys; receive: DirectionKeys } => {
    const keys = symmetric.split(Buffer.from(label, 'ascii')).map(takeKey) as [KeyObject, KeyObject];
    const small = symmetric.split(Buffer.from(smallLabel, 'ascii')).map((bytes) => new SmallKey(bytes)) as [
      SmallKey,
      SmallKey,
    ];
    const forth = { cipher, key: keys[0], small: small[0] };
    const back = { cipher, key: keys[1], small: small[1] };
    return role === 'initiator' ? { send: forth, receive: back } : { send: back, receive: forth };
  };
  const records = use(LABELS.records, LABELS.smallRecords);
  const datagrams = use(LABELS.datagrams, LABELS.smallDatagrams);
  return {
    cipher,
    ...records,
    datagramSend: datagrams.send,
    datagramReceive: datagrams.receive,
    handshakeHash: symmetric.handshakeHash,
  };
}

/** The same where the peer knows nothing of small keys, which are wiped. */
export function withoutSmallKeys(session: Session): Session {
  const without = (keys: DirectionKeys): DirectionKeys => {
    keys.small?.forget();
    return { ...keys, small: undefined };
  };
  return {
    ...session,
    send: without(session.send),
    receive: without(session.receive),
    datagramSend: without(session.datagramSend),
    datagramReceive: without(session.datagramReceive),
  };
}
