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

/** 1,280 (the least IPv6 path) less 20 of IPv4 and 8 of UDP: passes everywhere. */
export const LEAST_PACKET_LIMIT = 1252;
/** Probes may find that the path takes more; beyond this Ethernet tunnels begin to drop. */
export const GREATEST_PACKET_LIMIT = 1400;

export const ITEM = {
  /** id: the flow. Payload: one datagram of it. */
  data: 1,
  /** id: the probe. Payload: padding up to the size that is tried; its content means nothing. */
  probe: 2,
  /** id: the probe that arrived. Payload: the size of its packet, two bytes. */
  probeAck: 3,
} as const;

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
