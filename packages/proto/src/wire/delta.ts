/** Deltas and inventories, wire to model and back. One bad item rejects itself; a bad policy closes everything. */

import protobuf from 'protobufjs/minimal.js';
import { WIRE_LIMITS } from '../model/limits.ts';
import { DENY_ALL_POLICY, type NetmapDelta, type NetmapItem } from '../model/netmap.ts';
import { defined } from '../model/values.ts';
import { count, integer, list, required, text } from './check.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import { encodeItem, itemFromWire, wireItem } from './netmap.ts';
import type * as pb from './pb.ts';

export const DIGEST_BYTES = 8;
const RECEIPT_BYTES = 16;

export { DENY_ALL_POLICY, UNREADABLE_POLICY_RULE } from '../model/netmap.ts';

/** An item that was refused, and why. */
export interface RejectedItem {
  readonly key: string;
  readonly reason: string;
}

export interface Heard {
  readonly timeline: string;
  readonly revision: number;
  readonly receipt: Uint8Array;
}

export interface ReceivedDelta {
  readonly delta: NetmapDelta;
  /** Upserts as they came, by key: also with what this version does not know. Of one that stands in for another, none. */
  readonly encoded: ReadonlyMap<string, Uint8Array>;
  readonly rejected: readonly RejectedItem[];
}

export function deltaToWire(delta: NetmapDelta): pb.Outgoing<pb.Delta> {
  return { ...delta, upserts: delta.upserts.map(encodeItem) };
}

/**
 * Reads a delta. Throws WireError when its frame is bad (timeline, indexes, counts, what is no item at all). A bad item is left out and reported,
 * and its key joins the removals, so that what stood there before does not outlive what was to replace it. A bad policy
 * item is replaced by DENY_ALL_POLICY. Of several items with one key none can be trusted: the key is treated as bad.
 */
export function deltaFromWire(wire: pb.Outgoing<pb.Delta> | null | undefined): ReceivedDelta {
  const delta = required(wire, 'delta');
  const rejected: RejectedItem[] = [];
  const upserts = new Map<string, NetmapItem>();
  const encoded = new Map<string, Uint8Array>();
  const removals = new Set(
    list(delta.removals, 'removals', WIRE_LIMITS.items, (key, at) => text(key, at, WIRE_LIMITS.key)),
  );
  const bad = new Set<string>();

  const reject = (key: string, reason: string): void => {
    rejected.push({ key, reason });
    bad.add(key);
  };
  for (const bytes of list(delta.upserts, 'upserts', WIRE_LIMITS.items, (item) => item)) {
    const wire = wireItem(bytes);
    const key = wire.key.slice(0, WIRE_LIMITS.key);
    try {
      const item = itemFromWire(wire);
      if (upserts.has(key)) reject(key, 'given twice in one delta');
      else if (removals.has(key)) reject(key, 'both set and removed in one delta');
      else {
        upserts.set(key, item);
        // Of its own: what came is a view of the whole message.
        encoded.set(key, new Uint8Array(bytes));
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      reject(key, error.message);
      // A policy under a wrong key is a policy that is missing.
      if (wire.policy) bad.add('policy');
    }
  }
  for (const key of bad) {
    upserts.delete(key);
    encoded.delete(key);
    if (key !== '') removals.add(key);
  }
  if (bad.has('policy')) {
    removals.delete('policy');
    upserts.set('policy', DENY_ALL_POLICY);
  }

  const previous = count(delta.previous, 'previous');
  return {
    delta: {
      timeline: text(delta.timeline, 'timeline', WIRE_LIMITS.timeline),
      previous,
      index: count(delta.index, 'index'),
      revision: count(delta.revision, 'revision'),
      snapshot: delta.snapshot ?? false,
      upserts: [...upserts.values()],
      removals: [...removals],
      ...defined({ receipt: receiptFromWire(delta.receipt) }),
    },
    encoded,
    rejected,
  };
}

/** Digests by key, as Standing carries them. */
export function inventoryToWire(inventory: ReadonlyMap<string, Uint8Array>): pb.ItemDigest[] {
  return Array.from(inventory, ([key, digest]) => ({ key, digest }));
}

/** Throws WireError. */
export function inventoryFromWire(
  wire: readonly pb.Outgoing<pb.ItemDigest>[] | null | undefined,
): Map<string, Uint8Array> {
  return new Map(
    list(wire, 'inventory', WIRE_LIMITS.items, (entry, at) => [
      text(entry.key, at, WIRE_LIMITS.key),
      digestFromWire(entry.digest, at),
    ]),
  );
}

/** What an agent holds when its stream begins, without its report. Throws WireError. */
export function standingFromWire({ index, inventory }: pb.Outgoing<pb.Standing>): {
  readonly index: number;
  readonly inventory: ReadonlyMap<string, Uint8Array>;
} {
  return {
    index: integer(index, 'standing.index', 0, WIRE_LIMITS.index),
    inventory: inventoryFromWire(inventory),
  };
}

/** What an agent says that it has heard; undefined when it gives no receipt for that. Throws WireError. */
export function heardFromWire({ timeline, revision, receipt }: pb.Outgoing<pb.Hello>): Heard | undefined {
  const proof = receiptFromWire(receipt);
  if (proof === undefined) return undefined;
  return {
    timeline: text(timeline, 'hello.timeline', WIRE_LIMITS.timeline),
    revision: count(revision, 'hello.revision'),
    receipt: proof,
  };
}

/** One of another length proves nothing. */
function receiptFromWire(receipt: Uint8Array | null | undefined): Uint8Array | undefined {
  return receipt?.length === RECEIPT_BYTES ? new Uint8Array(receipt) : undefined;
}

function digestFromWire(digest: Uint8Array | null | undefined, field: string): Uint8Array {
  if (digest?.length !== DIGEST_BYTES) throw new WireError('wire-length', field, `expected ${DIGEST_BYTES} bytes`);
  return new Uint8Array(digest);
}

/**
 * A ControlMessage with a Delta, framed from items that are encoded already. Every agent of a network gets much the same
 * items; encoding them once and copying bytes is what lets a change reach thousands of agents in one turn. What is not an
 * item is encoded by the generated code; fields may stand in any order (protobuf.dev/programming-guides/encoding).
 */
export interface DeltaFrame extends Omit<NetmapDelta, 'upserts'> {
  /** Encoded Item messages. */
  readonly upserts: readonly Uint8Array[];
  readonly receipt: Uint8Array;
}

/** What stands before the length of a field, as the generated code writes it: all but the last byte when it holds nothing. */
const DELTA_TAG = weft.v1.ControlMessage.encode({ delta: {} }).finish().subarray(0, -1);
const UPSERT_TAG = weft.v1.Delta.encode({ upserts: [new Uint8Array(0)] })
  .finish()
  .subarray(0, -1);

export function encodeDeltaMessage({ upserts, removals, ...frame }: DeltaFrame): Buffer {
  const pieces = [weft.v1.Delta.encode({ ...frame, removals: [...removals] }).finish()];
  for (const item of upserts) pieces.push(UPSERT_TAG, varint(item.length), item);
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return Buffer.concat([DELTA_TAG, varint(length), ...pieces]);
}

function varint(length: number): Uint8Array {
  return protobuf.Writer.create().uint32(length).finish();
}
