/**
 * A ControlMessage with a Delta, framed from items that are encoded already. Every agent of a network gets much the same
 * items; encoding them once and copying bytes is what lets a change reach thousands of agents in one turn. What is not an
 * item is encoded by the generated code; fields may stand in any order (protobuf.dev/programming-guides/encoding).
 */
import protobuf from 'protobufjs/minimal.js';
import { weft } from './generated.ts';

export interface DeltaFrame {
  readonly timeline: string;
  readonly previous: number;
  readonly index: number;
  readonly revision: number;
  readonly snapshot: boolean;
  /** Encoded Item messages. */
  readonly upserts: readonly Uint8Array[];
  readonly removals: readonly string[];
  readonly receipt: Uint8Array;
}

/** What stands before the length of a field, as the generated code writes it: all but the last byte when it holds nothing. */
const DELTA_TAG = weft.v1.ControlMessage.encode({ delta: {} }).finish().subarray(0, -1);
const UPSERT_TAG = weft.v1.Delta.encode({ upserts: [{}] })
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
