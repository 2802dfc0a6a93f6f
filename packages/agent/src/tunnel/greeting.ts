/** What each side says in a tunnel's handshake: its offer of datagrams 0..5 · its capability 6..7, 0 or nothing for 1. */
import { CAPABILITY, capabilityOf } from '@weft/proto';
import { type DatagramOffer, decodeOffer, encodeOffer } from '../protocol/datagram/offer.ts';

const CAPABILITY_LENGTH = 2;

export interface Greeting {
  readonly offer: DatagramOffer;
  /** What the peer understands: see CAPABILITIES. */
  readonly capability: number;
}

export function encodeGreeting(offer: DatagramOffer, capability: number = CAPABILITY): Buffer {
  const said = Buffer.alloc(CAPABILITY_LENGTH);
  said.writeUInt16BE(capability);
  return Buffer.concat([encodeOffer(offer), said]);
}

/** What follows is of a newer peer, and passed over. Throws DatagramError 'malformed-offer'. */
export function decodeGreeting(payload: Buffer): Greeting {
  const { offer, rest } = decodeOffer(payload);
  return { offer, capability: capabilityOf(rest.length < CAPABILITY_LENGTH ? undefined : rest.readUInt16BE()) };
}
