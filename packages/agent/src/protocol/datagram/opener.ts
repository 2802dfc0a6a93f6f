import type { KeyObject } from 'node:crypto';
import { type CipherName, startOpen, TAG_LENGTH } from '../noise/cipher.ts';
import {
  counterOf,
  FRAGMENT_HEADER,
  ITEM,
  ITEM_HEADER,
  ITEM_ID_AT,
  ITEM_LENGTH_AT,
  PACKET_HEADER,
  PACKET_OVERHEAD,
  receiverIndexOf,
} from './format.ts';
import { ReplayWindow } from './window.ts';

/** What a packet held, in its order. */
export interface ItemHandler {
  /** The payload is fresh memory, to keep if wanted. */
  data(flowId: number, payload: Buffer): void;
  /** To be answered with a probe-ack. */
  probe(id: number, packetSize: number): void;
  probeAck(id: number, packetSize: number): void;
  /** Piece `index` of the `count`, 2 and up, of one datagram; its number tells it from others on their way. */
  fragment(flowId: number, number: number, index: number, count: number, piece: Buffer): void;
}

/**
 * What became of a packet. All but 'opened' and 'malformed' can be anybody's doing on the path: drop and count. 'malformed'
 * was sealed by the peer itself and breaks the protocol: its connection may be closed.
 */
export type OpenOutcome = 'opened' | 'not-ours' | 'replayed' | 'forged' | 'malformed';

/** Opens one session's packets, in whatever order the path gives them, each once. */
export class DatagramOpener {
  readonly #cipher: CipherName;
  readonly #key: KeyObject;
  readonly #window = new ReplayWindow();

  /** `key` is the session's datagramReceiveKey. */
  constructor(cipher: CipherName, key: KeyObject) {
    this.#cipher = cipher;
    this.#key = key;
  }

  /**
   * Opens a packet and hands its items on, none before all are checked. Throws nothing of its own, for a flood of rubbish
   * must stay cheap: the counter is looked up before the AEAD is asked, and is marked only after the tag has proved.
   */
  open(packet: Buffer, items: ItemHandler): OpenOutcome {
    if (receiverIndexOf(packet) === undefined) return 'not-ours';
    const counter = counterOf(packet);
    if (counter === undefined) return 'not-ours';
    if (!this.#window.isFresh(counter)) return 'replayed';
    const plaintext = this.#prove(packet, counter);
    if (plaintext === undefined) return 'forged';
    this.#window.accept(counter);
    if (!wellFormed(plaintext)) return 'malformed';
    deliver(plaintext, packet.length, items);
    return 'opened';
  }

  #prove(packet: Buffer, counter: number): Buffer | undefined {
    const header = packet.subarray(0, PACKET_HEADER);
    const tagAt = packet.length - TAG_LENGTH;
    const opening = startOpen(this.#cipher, this.#key, counter, header, packet.length - PACKET_OVERHEAD);
    const plaintext = opening.update(packet.subarray(PACKET_HEADER, tagAt));
    opening.setAuthTag(packet.subarray(tagAt));
    try {
      opening.final();
    } catch {
      return undefined;
    }
    return plaintext;
  }
}

/** Whole items to the last byte, each of a known type and the shape of its type. */
function wellFormed(plaintext: Buffer): boolean {
  let at = 0;
  while (at < plaintext.length) {
    if (plaintext.length - at < ITEM_HEADER) return false;
    const length = plaintext.readUInt16BE(at + ITEM_LENGTH_AT);
    if (plaintext.length - at - ITEM_HEADER < length) return false;
    switch (plaintext[at]) {
      case ITEM.data:
      case ITEM.probe:
        break;
      case ITEM.probeAck:
        if (length !== 2) return false;
        break;
      case ITEM.fragment: {
        if (length <= FRAGMENT_HEADER) return false;
        const [index = 0, count = 0] = plaintext.subarray(at + ITEM_HEADER + 2);
        if (count < 2 || index >= count) return false;
        break;
      }
      default:
        return false;
    }
    at += ITEM_HEADER + length;
  }
  return at > 0;
}

function deliver(plaintext: Buffer, packetSize: number, items: ItemHandler): void {
  let at = 0;
  while (at < plaintext.length) {
    const type = plaintext[at];
    const id = plaintext.readUInt32BE(at + ITEM_ID_AT);
    const start = at + ITEM_HEADER;
    const end = start + plaintext.readUInt16BE(at + ITEM_LENGTH_AT);
    if (type === ITEM.data) items.data(id, plaintext.subarray(start, end));
    else if (type === ITEM.probe) items.probe(id, packetSize);
    else if (type === ITEM.probeAck) items.probeAck(id, plaintext.readUInt16BE(start));
    else {
      const piece = plaintext.subarray(start + FRAGMENT_HEADER, end);
      items.fragment(
        id,
        plaintext.readUInt16BE(start),
        plaintext.readUInt8(start + 2),
        plaintext.readUInt8(start + 3),
        piece,
      );
    }
    at = end;
  }
}
