/**
 * A packet:  type and version 0 · receiver's session index 1..4 · counter 5..12 · ciphertext 13.. · tag, the last 16 bytes.
 * The 13 header bytes are the AEAD's additional data. All numbers are big-endian.
 *
 * The plaintext is one or more items:  type 0 · id 1..4 · length 5..6 · payload 7..
 */
import { COUNTER_LIMIT, TAG_LENGTH } from '../noise/cipher.ts';

/** High four bits: version 1. Low four bits: type 1, sealed items. */
export const PACKET_TYPE = 0x11;
export const INDEX_AT = 1;
export const COUNTER_AT = 5;
export const PACKET_HEADER = 13;
/** What sealing adds to the items. */
export const PACKET_OVERHEAD = PACKET_HEADER + TAG_LENGTH;

export const ITEM_ID_AT = 1;
export const ITEM_LENGTH_AT = 5;
export const ITEM_HEADER = 7;

/** What every peer takes: 1,280 (the least IPv6 path) less 20 of IPv4 and 8 of UDP. */
export const LEAST_PACKET_LIMIT = 1252;
/** Probes may find that the path takes more; beyond this Ethernet tunnels begin to drop. */
export const GREATEST_PACKET_LIMIT = 1400;
/**
 * UDP payloads that are tried on a path, the largest first: common tunnels over Ethernet, 1,252 for paths of 1,280 under
 * IPv4 and 1,200 under IPv6 (RFC 9000 section 14), and what every IPv4 path carries (RFC 8899 section 5.1.2, 576 less 28).
 */
export const PROBED_SIZES: readonly number[] = [GREATEST_PACKET_LIMIT, 1372, 1320, LEAST_PACKET_LIMIT, 1200, 1000, 548];

export const ITEM = {
  /** id: the flow. Payload: one datagram of it. */
  data: 1,
  /** id: the probe. Payload: padding up to the size that is tried; its content means nothing. */
  probe: 2,
  /** id: the probe that arrived. Payload: the size of its packet, two bytes. */
  probeAck: 3,
  /** id: the flow. Payload: number 0..1 · index 2 · count 3 · one piece of a datagram that no packet takes whole. */
  fragment: 4,
} as const;

/** Before the piece, in a fragment's payload. */
export const FRAGMENT_HEADER = 4;

export type ItemType = (typeof ITEM)[keyof typeof ITEM];

/**
 * The session index that a packet is for, or undefined when it cannot be a packet of ours. Proves nothing: it only tells
 * which opener to ask.
 */
export function receiverIndexOf(packet: Buffer): number | undefined {
  if (packet.length < PACKET_OVERHEAD + ITEM_HEADER || packet.length > GREATEST_PACKET_LIMIT) return undefined;
  if (packet[0] !== PACKET_TYPE) return undefined;
  return packet.readUInt32BE(INDEX_AT);
}

/** The packet's counter, or undefined when it is over what any key may reach. */
export function counterOf(packet: Buffer): number | undefined {
  const counter = packet.readUInt32BE(COUNTER_AT) * 2 ** 32 + packet.readUInt32BE(COUNTER_AT + 4);
  return counter < COUNTER_LIMIT ? counter : undefined;
}
