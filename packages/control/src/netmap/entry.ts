/**
 * One item of a view, encoded and digested at most once for all agents that see it. An entry is the same object for as long
 * as its bytes are the same, from snapshot to snapshot, so that comparing two views is comparing references.
 */
import type { NetmapItem, PeerItem } from '@weft/proto';
import { itemKey } from '@weft/proto';
import { encodeItem, itemDigest } from '@weft/proto/wire';
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
}

/** An item that every agent who may see it sees alike. */
export class SharedEntry implements Entry {
  readonly key: string;
  readonly #item: NetmapItem;
  #bytes: Uint8Array | undefined;
  #digest: string | undefined;

  constructor(item: NetmapItem) {
    this.key = itemKey(item);
    this.#item = item;
  }

  item(): NetmapItem {
    return this.#item;
  }

  bytes(): Uint8Array {
    this.#bytes ??= encodeItem(this.#item);
    return this.#bytes;
  }

  digest(): string {
    this.#digest ??= hexadecimal(itemDigest(this.bytes()));
    return this.#digest;
  }
}

/** A peer: alike for every agent but for the pair's key, which is derived when asked and kept nowhere. */
export class PeerEntry implements Entry {
  readonly key: string;
  readonly #peer: PeerItem;

  /** `peer` with an empty `psk`. */
  constructor(peer: PeerItem) {
    this.key = itemKey(peer);
    this.#peer = peer;
  }

  /** What it looks like without a viewer: for comparing, not for sending. */
  bareBytes(): Uint8Array {
    return encodeItem(this.#peer);
  }

  item(viewer: Viewer): PeerItem {
    return { ...this.#peer, psk: viewer.pairKeys.of(viewer.tunnelKey, this.#peer.tunnelKey) };
  }

  bytes(viewer: Viewer): Uint8Array {
    return encodeItem(this.item(viewer));
  }

  digest(viewer: Viewer): string {
    return hexadecimal(itemDigest(this.bytes(viewer)));
  }
}

function hexadecimal(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
