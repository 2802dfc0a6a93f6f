/**
 * Memory of this thread that is dead soon after it was made: above all copies of bytes that were lent and have to wait. Whoever
 * makes some says so here, for V8 collects it late by itself; `bytes/young-generation.ts` asks.
 */
/** Bytes made since this was last set to 0. */
export const passing: { bytes: number } = { bytes: 0 };

/** A copy of bytes that are lent for the length of a call, to keep. */
export function copyOfLent(piece: Buffer): Buffer {
  passing.bytes += piece.length;
  return Buffer.from(piece);
}

/** Counts bytes of memory that will soon be dead. */
export function countPassing(bytes: number): void {
  passing.bytes += bytes;
}
