/**
 * One item of a view, encoded and digested at most once for all agents that see it. An entry is the same object for as long
 * as its bytes are the same, from snapshot to snapshot, so that comparing two views is comparing references.
 */
import { hash } from 'node:crypto';
import { itemFor, itemKey, type NetmapItem, type PeerItem, type Vocabulary } from '@weft/proto';
import { DIGEST_BYTES, encodeItem } from '@weft/proto/wire';
import type { PairKeys } from './pair-keys.ts';

/** The agent that a view is for. */
export interface Viewer {
  readonly agentId: string;
  /** X25519 public key, 32 bytes. */
  readonly tunnelKey: Uint8Array;
  readonly pairKeys: PairKeys;
}

export interface Entry {
  readonly key: string;
  item(viewer: Viewer): NetmapItem;
  /** The item as it stands in a delta. */
  bytes(viewer: Viewer): Uint8Array;
  /** First 8 bytes of SHA-256 of those bytes, in hexadecimal. */
  digest(viewer: Viewer): string;
  /** The same for an agent of this capability; undefined where it could read nothing of it. */
  readableAt(capability: number, words: Vocabulary): Entry | undefined;
}

/** An item that every agent who may see it sees alike. */
export class SharedEntry implements Entry {
  readonly key: string;
  readonly #item: NetmapItem;
  #bytes: Uint8Array | undefined;
  #digest: string | undefined;
  #alone: ReadonlyMap<string, Entry> | undefined;

  constructor(item: NetmapItem) {
    this.key = itemKey(item);
    this.#item = item;
  }

  /** The part of a view that holds this entry and nothing else; always the same object. */
  get alone(): ReadonlyMap<string, Entry> {
    this.#alone ??= new Map([[this.key, this]]);
    return this.#alone;
  }

  item(): NetmapItem {
    return this.#item;
  }

  bytes(): Uint8Array {
    this.#bytes ??= encodeItem(this.#item);
    return this.#bytes;
  }

  digest(): string {
    this.#digest ??= digestOf(this.bytes());
    return this.#digest;
  }

  readableAt(capability: number, words: Vocabulary): Entry | undefined {
    const item = itemFor(this.#item, capability, words);
    if (item === this.#item) return this;
    return item && new SharedEntry(item);
  }
}

/**
 * A peer: alike for every agent but for the pair's key, which is derived when asked and kept nowhere. Thousands of agents
 * with thousands of peers make millions of these, so the key is laid into bytes that were encoded once.
 */
export class PeerEntry implements Entry {
  readonly key: string;
  readonly #peer: PeerItem;
  #template: Template | undefined;

  /** The `psk` of `peer` is of no meaning. */
  constructor(peer: PeerItem) {
    this.key = itemKey(peer);
    this.#peer = peer;
  }

  /** What it looks like without a viewer: for comparing, not for sending. */
  bareBytes(): Uint8Array {
    this.#template ??= templateOf(this.#peer);
    return this.#template.bytes;
  }

  item(viewer: Viewer): PeerItem {
    return { ...this.#peer, psk: viewer.pairKeys.of(viewer.tunnelKey, this.#peer.tunnelKey) };
  }

  bytes(viewer: Viewer): Uint8Array {
    this.#template ??= templateOf(this.#peer);
    const { bytes, keyAt } = this.#template;
    const filled = new Uint8Array(bytes);
    filled.set(viewer.pairKeys.of(viewer.tunnelKey, this.#peer.tunnelKey), keyAt);
    return filled;
  }

  digest(viewer: Viewer): string {
    return digestOf(this.bytes(viewer));
  }

  readableAt(capability: number, words: Vocabulary): Entry | undefined {
    const peer = itemFor(this.#peer, capability, words);
    if (peer === this.#peer || peer?.type !== 'peer') return this;
    return new PeerEntry(peer);
  }
}

interface Template {
  /** The encoded item with zeros for the pair's key. */
  readonly bytes: Uint8Array;
  readonly keyAt: number;
}

const KEY_BYTES = 32;

/** Two encodings that differ in every byte of the key and nowhere else show where the key stands. */
function templateOf(peer: PeerItem): Template {
  const bytes = encodeItem({ ...peer, psk: new Uint8Array(KEY_BYTES) });
  const marked = encodeItem({ ...peer, psk: new Uint8Array(KEY_BYTES).fill(0xff) });
  const keyAt = marked.findIndex((byte, index) => byte !== bytes[index]);
  return { bytes, keyAt };
}

/** As itemDigest of @weft/proto, without the bytes in between. */
function digestOf(encoded: Uint8Array): string {
  return hash('sha256', encoded, 'hex').slice(0, 2 * DIGEST_BYTES);
}

/** Carries entries over from one snapshot to the next while what they are made from, or their bytes, stay the same. */
interface Made<E extends Entry> {
  /** The values it was made from, compared by reference: if all are the same there is nothing to encode. */
  readonly from: readonly unknown[];
  readonly entry: E;
}

export class Interner<E extends SharedEntry | PeerEntry> {
  readonly #made = new Map<string, Made<E>>();
  #before: ReadonlyMap<string, Made<E>>;

  constructor(before: Interner<E> | undefined) {
    this.#before = before === undefined ? new Map() : before.#made;
  }

  /** The entry at `key`: the one before when it is the same, else what `make` gives. */
  keep(key: string, from: readonly unknown[], make: () => E): E {
    const before = this.#before.get(key);
    const entry = before === undefined ? make() : renewed(before, from, make);
    this.#made.set(key, { from, entry });
    return entry;
  }

  /** Lets go of the snapshot before, so that a run of snapshots does not keep every one of them alive. */
  seal(): void {
    this.#before = new Map();
  }
}

function renewed<E extends SharedEntry | PeerEntry>(before: Made<E>, from: readonly unknown[], make: () => E): E {
  if (before.from.every((value, index) => value === from[index])) return before.entry;
  const entry = make();
  return Buffer.compare(plainBytes(before.entry), plainBytes(entry)) === 0 ? before.entry : entry;
}

function plainBytes(entry: SharedEntry | PeerEntry): Uint8Array {
  return entry instanceof PeerEntry ? entry.bareBytes() : entry.bytes();
}
