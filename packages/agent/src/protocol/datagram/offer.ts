/** An offer of datagrams, the start of each side's handshake payload:  session index 0..3 · packet limit 4..5. */
import { DatagramError } from './errors.ts';
import { GREATEST_PACKET_LIMIT, LEAST_PACKET_LIMIT } from './format.ts';

const OFFER_LENGTH = 6;

export interface DatagramOffer {
  /** What the other side writes into each packet it sends here, 1 to 2^32 - 1; 0: this side takes no datagrams. */
  readonly index: number;
  /** Largest packet this side takes, 1,252 to 1,400 bytes; not looked at when the index is 0. */
  readonly packetLimit: number;
}

export function encodeOffer(offer: DatagramOffer): Buffer {
  const bytes = Buffer.alloc(OFFER_LENGTH);
  bytes.writeUInt32BE(offer.index, 0);
  bytes.writeUInt16BE(offer.packetLimit, 4);
  return bytes;
}

/** Reads the offer and leaves the rest of the payload, a view. Throws DatagramError 'malformed-offer'. */
export function decodeOffer(payload: Buffer): { offer: DatagramOffer; rest: Buffer } {
  if (payload.length < OFFER_LENGTH) {
    throw new DatagramError('malformed-offer', `an offer is 6 bytes, not ${payload.length}`);
  }
  const offer = { index: payload.readUInt32BE(0), packetLimit: payload.readUInt16BE(4) };
  if (offer.index !== 0 && (offer.packetLimit < LEAST_PACKET_LIMIT || offer.packetLimit > GREATEST_PACKET_LIMIT)) {
    throw new DatagramError('malformed-offer', `a packet limit of ${offer.packetLimit} bytes`);
  }
  return { offer, rest: payload.subarray(OFFER_LENGTH) };
}
