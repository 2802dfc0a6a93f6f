import { startOpen, TAG_LENGTH } from '../noise/cipher.ts';
import { LateKey, type NewInPlaceKey } from '../noise/in-place.ts';
import type { DirectionKeys } from '../noise/session.ts';
import { SMALL_LIMIT } from '../noise/small-cipher.ts';
import {
  counterOf,
  FRAGMENT_HEADER,
  GREATEST_PACKET_LIMIT,
  ITEM,
  ITEM_HEADER,
  ITEM_ID_AT,
  ITEM_LENGTH_AT,
  PACKET_HEADER,
  PACKET_OVERHEAD,
  receiverIndexOf,
} from './format.ts';

/** Counters behind the highest that are still accepted. */
export const WINDOW_SIZE = 2048;

const WORD_BITS = 32;
/** One word more than the window, so that a whole word can be cleared ahead while all 2,048 stay exact (RFC 6479). */
const WORDS = WINDOW_SIZE / WORD_BITS + 1;

/**
 * Sliding replay window of RFC 6479: a ring of words, cleared a word at a time as the highest counter moves on, never
 * shifted. Takes each counter once, in any order within 2,048 of the highest.
 */
export class ReplayWindow {
  readonly #words = new Uint32Array(WORDS);
  /** The next counter above all that were accepted. */
  #next = 0;

  /** Whether this counter was not seen and is not too old. Changes nothing, so that a forged packet cannot move the window. */
  isFresh(counter: number): boolean {
    if (counter >= this.#next) return true;
    if (this.#next - counter > WINDOW_SIZE) return false;
    return ((this.#words[wordOf(counter) % WORDS] ?? 0) & bitOf(counter)) === 0;
  }

  /** Marks a counter whose packet has proved itself. To be asked `isFresh` first. */
  accept(counter: number): void {
    const word = wordOf(counter);
    if (counter >= this.#next) {
      const previous = this.#next === 0 ? -1 : wordOf(this.#next - 1);
      // A jump over the whole ring clears it once, however far it goes.
      for (let clear = Math.max(previous + 1, word - WORDS + 1); clear <= word; clear++) this.#words[clear % WORDS] = 0;
      this.#next = counter + 1;
    }
    this.#words[word % WORDS] = (this.#words[word % WORDS] ?? 0) | bitOf(counter);
  }
}

/** Counters go past 2^32, where bit operators would cut them. */
function wordOf(counter: number): number {
  return Math.floor(counter / WORD_BITS);
}

function bitOf(counter: number): number {
  return 1 << (counter % WORD_BITS);
}

/** What a packet held, in its order. */
export interface ItemHandler {
  /** Payloads and pieces are lent: the next packet overwrites them. */
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
  readonly #keys: DirectionKeys;
  readonly #window = new ReplayWindow();
  readonly #inPlace: LateKey | undefined;
  #ended: boolean = false;
  #memory: Buffer | undefined;

  /** `keys` are the session's datagramReceive. `newKey`: undefined where node:crypto is to open what is not small. */
  constructor(keys: DirectionKeys, newKey?: NewInPlaceKey) {
    this.#keys = keys;
    this.#inPlace = newKey && new LateKey(newKey, 'open');
  }

  /** Nothing is opened any more: what comes is not ours. To be called once. */
  end(): void {
    this.#ended = true;
    this.#inPlace?.forget();
  }

  /**
   * Opens a packet and hands its items on, none before all are checked. Throws nothing of its own, for a flood of rubbish
   * must stay cheap: the counter is looked up before the AEAD is asked, and is marked only after the tag has proved.
   */
  open(packet: Buffer, items: ItemHandler): OpenOutcome {
    if (this.#ended || receiverIndexOf(packet) === undefined) return 'not-ours';
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

  /** Where packets are opened. */
  get #plaintext(): Buffer {
    this.#memory ??= Buffer.allocUnsafeSlow(GREATEST_PACKET_LIMIT);
    return this.#memory;
  }

  #prove(packet: Buffer, counter: number): Buffer | undefined {
    const header = packet.subarray(0, PACKET_HEADER);
    const tagAt = packet.length - TAG_LENGTH;
    const length = packet.length - PACKET_OVERHEAD;
    const { cipher, key, small } = this.#keys;
    if (small !== undefined && length <= SMALL_LIMIT) {
      return small.open(counter, header, packet.subarray(PACKET_HEADER), this.#plaintext);
    }
    if (this.#inPlace !== undefined) {
      const aead = this.#inPlace.of(cipher, key);
      const opened = this.#plaintext.subarray(0, length);
      aead.start(counter, header);
      aead.update(packet.subarray(PACKET_HEADER, tagAt), opened, 0);
      return aead.proves(packet.subarray(tagAt)) ? opened : undefined;
    }
    const opening = startOpen(cipher, key, counter, header, length);
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
