/**
 * Memory of this thread for copies of bytes that were lent and have to wait. V8 collects it late by itself: it lies outside of the
 * heap, and what has waited for a while counts as old. So whoever knows when a copy is used frees it by hand; of what nobody can
 * free so is told here, and `bytes/young-generation.ts` asks.
 */
/** Bytes made since this was last set to 0, that nobody frees. */
export const passing: { bytes: number } = { bytes: 0 };

/** A copy of bytes that are lent for the length of a call, to keep, which nobody frees. */
export function copyOfLent(piece: Buffer): Buffer {
  passing.bytes += piece.length;
  return Buffer.from(piece);
}

/** The same in memory that is of nothing else, for whoever frees it, or counts no more than its bytes: a copy in Node's pool would keep all of that. */
export function copyApart(piece: Buffer): Buffer<ArrayBuffer> {
  const copy = Buffer.allocUnsafeSlow(piece.length);
  piece.copy(copy);
  return copy;
}

/** At once: all memory that the buffer lies in. Whoever still has a view of it has one of no length. */
export function free({ buffer }: Buffer<ArrayBuffer>): void {
  buffer.transfer(0);
}
