/**
 * A ControlMessage with a Delta, framed from items that are encoded already. Every agent of a network gets much the same
 * items; encoding them once and copying bytes is what lets a change reach thousands of agents in one turn. Field numbers
 * are agent.proto's, the format is protobuf's (protobuf.dev/programming-guides/encoding); the test reads it back.
 */

export interface DeltaFrame {
  readonly timeline: string;
  readonly previous: number;
  readonly index: number;
  readonly revision: number;
  readonly snapshot: boolean;
  /** Encoded Item messages. */
  readonly upserts: readonly Uint8Array[];
  readonly removals: readonly string[];
}

const CONTROL_MESSAGE_DELTA = 2;
const [TIMELINE, PREVIOUS, INDEX, REVISION, SNAPSHOT, UPSERTS, REMOVALS] = [1, 2, 3, 4, 5, 6, 7] as const;
const [VARINT, LENGTH_DELIMITED] = [0, 2] as const;

export function encodeDeltaMessage(delta: DeltaFrame): Buffer {
  const pieces: Uint8Array[] = [];
  pushBytes(pieces, TIMELINE, Buffer.from(delta.timeline));
  pushNumber(pieces, PREVIOUS, delta.previous);
  pushNumber(pieces, INDEX, delta.index);
  pushNumber(pieces, REVISION, delta.revision);
  pushNumber(pieces, SNAPSHOT, delta.snapshot ? 1 : 0);
  for (const item of delta.upserts) pushBytes(pieces, UPSERTS, item);
  for (const key of delta.removals) pushBytes(pieces, REMOVALS, Buffer.from(key));
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return Buffer.concat([tag(CONTROL_MESSAGE_DELTA, LENGTH_DELIMITED), varint(length), ...pieces]);
}

function pushBytes(pieces: Uint8Array[], field: number, bytes: Uint8Array): void {
  pieces.push(tag(field, LENGTH_DELIMITED), varint(bytes.length), bytes);
}

/** proto3 leaves a zero out. */
function pushNumber(pieces: Uint8Array[], field: number, value: number): void {
  if (value !== 0) pieces.push(tag(field, VARINT), varint(value));
}

function tag(field: number, wireType: number): Uint8Array {
  return Uint8Array.of((field << 3) | wireType);
}

/** `value` is a whole number up to 2^53 - 1, so shifts, which are of 32 bits, will not do. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
