import { COUNTER_LIMIT, startSeal } from '../noise/cipher.ts';
import { LateKey, type NewInPlaceKey } from '../noise/in-place.ts';
import type { DirectionKeys } from '../noise/session.ts';
import { SMALL_LIMIT } from '../noise/small-cipher.ts';
import { DatagramError } from './errors.ts';
import {
  COUNTER_AT,
  FRAGMENT_HEADER,
  GREATEST_PACKET_LIMIT,
  INDEX_AT,
  ITEM,
  ITEM_HEADER,
  ITEM_ID_AT,
  ITEM_LENGTH_AT,
  type ItemType,
  LEAST_PACKET_LIMIT,
  PACKET_HEADER,
  PACKET_OVERHEAD,
  PACKET_TYPE,
} from './format.ts';

export interface DatagramSealerOptions {
  /** The session's datagramSend. */
  readonly keys: DirectionKeys;
  /** The index that the peer offered. */
  readonly receiverIndex: number;
  /** Bytes of a UDP payload at most, 1,252 to 1,400. */
  readonly packetLimit: number;
  /** Counter of the first packet: 0 for a session's start. */
  readonly counter?: number;
  /** Undefined where node:crypto is to seal what is not small. */
  readonly newKey?: NewInPlaceKey | undefined;
}

/**
 * Gathers items into one packet and seals it. `add...` copies, and answers false when the packet has no room left: seal,
 * then add again. A seal has a price whatever the size, so small datagrams of one turn share one packet.
 */
export class DatagramSealer {
  readonly #keys: DirectionKeys;
  readonly #room: number;
  readonly #items: Buffer;
  readonly #inPlace: LateKey | undefined;
  readonly #header = Buffer.alloc(PACKET_HEADER);
  #pending = 0;
  #counter: number;

  constructor(options: DatagramSealerOptions) {
    checkField('packet limit', options.packetLimit, LEAST_PACKET_LIMIT, GREATEST_PACKET_LIMIT);
    checkField('session index', options.receiverIndex, 1, 0xffffffff);
    this.#keys = options.keys;
    this.#room = options.packetLimit - PACKET_OVERHEAD;
    this.#items = Buffer.alloc(this.#room);
    this.#inPlace = options.newKey && new LateKey(options.newKey, 'seal');
    this.#counter = options.counter ?? 0;
    this.#header[0] = PACKET_TYPE;
    this.#header.writeUInt32BE(options.receiverIndex, INDEX_AT);
  }

  /** Largest payload of one item; a larger datagram goes in fragments. */
  get payloadLimit(): number {
    return this.#room - ITEM_HEADER;
  }

  /** Bytes that wait for seal; 0 when there is nothing to send. */
  get pending(): number {
    return this.#pending;
  }

  /** Packets sealed so far, with the first counter. */
  get counter(): number {
    return this.#counter;
  }

  /** One datagram of a flow. Throws DatagramError 'oversized' when no packet could take it. */
  addData(flowId: number, payload: Buffer): boolean {
    const at = this.#addItem(ITEM.data, flowId, payload.length);
    if (at === undefined) return false;
    payload.copy(this.#items, at);
    return true;
  }

  /** Piece `index` of the `count` of one datagram, as much of `payload` as lies between `from` and `to`. */
  addFragment(flowId: number, number: number, index: number, count: number, payload: Buffer, from: number, to: number) {
    const at = this.#addItem(ITEM.fragment, flowId, FRAGMENT_HEADER + to - from);
    if (at === undefined) return false;
    this.#items.writeUInt16BE(number, at);
    this.#items[at + 2] = index;
    this.#items[at + 3] = count;
    payload.copy(this.#items, at + FRAGMENT_HEADER, from, to);
    return true;
  }

  /**
   * A probe that fills its packet up to `packetSize` bytes, to learn whether the path takes them; to be sealed right
   * after. Answers false unless nothing is pending.
   */
  addProbe(id: number, packetSize: number): boolean {
    if (this.#pending > 0) return false;
    const length = packetSize - PACKET_OVERHEAD - ITEM_HEADER;
    checkField('probe size', length, 0, this.payloadLimit);
    const at = this.#addItem(ITEM.probe, id, length);
    if (at === undefined) return false;
    this.#items.fill(0, at, at + length);
    return true;
  }

  /** Says that a probe came in a packet of `packetSize` bytes. */
  addProbeAck(id: number, packetSize: number): boolean {
    checkField('probe size', packetSize, 0, GREATEST_PACKET_LIMIT);
    const at = this.#addItem(ITEM.probeAck, id, 2);
    if (at === undefined) return false;
    this.#items.writeUInt16BE(packetSize, at);
    return true;
  }

  /**
   * Seals what is pending into the start of `target` and returns the packet's length; 0 when nothing is pending. A target
   * of packetLimit bytes always suffices. Throws DatagramError.
   */
  seal(target: Buffer): number {
    const length = this.#pending;
    if (length === 0) return 0;
    if (target.length < length + PACKET_OVERHEAD) {
      throw new DatagramError('target-too-small', `a packet of ${length + PACKET_OVERHEAD} bytes does not fit`);
    }
    if (this.#counter >= COUNTER_LIMIT) throw new DatagramError('exhausted', 'this key has sealed all it may');
    this.#pending = 0;
    const counter = this.#counter++;
    this.#header.writeUInt32BE(Math.floor(counter / 2 ** 32), COUNTER_AT);
    this.#header.writeUInt32BE(counter >>> 0, COUNTER_AT + 4);
    target.set(this.#header, 0);
    const items = this.#items.subarray(0, length);
    const { cipher, key, small } = this.#keys;
    if (small !== undefined && length <= SMALL_LIMIT) {
      small.seal(counter, this.#header, [items], target, PACKET_HEADER);
      return length + PACKET_OVERHEAD;
    }
    if (this.#inPlace !== undefined) {
      const aead = this.#inPlace.of(cipher, key);
      aead.start(counter, this.#header);
      aead.update(items, target, PACKET_HEADER);
      aead.writeTag(target, PACKET_HEADER + length);
      return length + PACKET_OVERHEAD;
    }
    const sealing = startSeal(cipher, key, counter, this.#header, length);
    target.set(sealing.update(items), PACKET_HEADER);
    sealing.final();
    target.set(sealing.getAuthTag(), PACKET_HEADER + length);
    return length + PACKET_OVERHEAD;
  }

  /** Nothing is sealed any more: to be called once. */
  end(): void {
    this.#pending = 0;
    this.#counter = COUNTER_LIMIT;
    this.#inPlace?.forget();
  }

  /** Writes an item's header and returns where its payload goes, or undefined when this packet has no room for it. */
  #addItem(type: ItemType, id: number, length: number): number | undefined {
    checkField('id', id, 0, 0xffffffff);
    if (length > this.payloadLimit) throw new DatagramError('oversized', `${length} bytes fit no packet`);
    const start = this.#pending;
    if (start + ITEM_HEADER + length > this.#room) return undefined;
    this.#items[start] = type;
    this.#items.writeUInt32BE(id, start + ITEM_ID_AT);
    this.#items.writeUInt16BE(length, start + ITEM_LENGTH_AT);
    this.#pending = start + ITEM_HEADER + length;
    return start + ITEM_HEADER;
  }
}

function checkField(name: string, value: number, least: number, greatest: number): void {
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw new DatagramError('out-of-range', `${name} ${value} is not within ${least} to ${greatest}`);
  }
}
