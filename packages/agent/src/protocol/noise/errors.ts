import { CodedError } from '@weft/proto';

export type HandshakeErrorCode =
  /** The connection does not begin with the Weft preamble. */
  | 'wrong-magic'
  | 'unsupported-version'
  | 'unsupported-suite'
  /** A message is shorter or longer than any valid one. */
  | 'wrong-length'
  /** The initiator sent bytes after message 1 before it could have keys for them. */
  | 'early-data'
  /** A public key whose Diffie-Hellman output is all zero: it would add no secret. */
  | 'low-order-point'
  /** A tag did not prove: altered bytes, another network, another key or another psk. */
  | 'forged'
  /** Our own payload is over MAXIMUM_PAYLOAD. */
  | 'payload-too-long'
  /** A key or psk handed in is not 32 bytes. */
  | 'wrong-key-length'
  /** The machine was called out of order, or again after it failed. */
  | 'wrong-order';

/** Ends the handshake, always: no code is retried on the same connection. */
export class HandshakeError extends CodedError<HandshakeErrorCode> {
  override readonly name = 'HandshakeError';
}

/** What the AEAD itself refuses; the layer above names it in its own words. */
export class CipherError extends CodedError<'forged' | 'exhausted'> {
  override readonly name = 'CipherError';
}
