/** Datagrams that came in fragments, put together again: few at once, for a short time, in whatever order the pieces come. */
import { copyApart } from '../../words/passing-memory.ts';
import { MAXIMUM_DATAGRAM } from '../mux/types.ts';

/** Pieces kept at once, each in memory of its own, some 350 KiB: two datagrams of the greatest size in the least packets. */
export const PIECES_KEPT = 256;
/** Milliseconds that a datagram's first piece waits for its last. */
export const WAIT_MS = 1_000;

interface Partial {
  readonly flowId: number;
  readonly count: number;
  readonly pieces: Map<number, Buffer>;
  readonly startedAt: number;
  bytes: number;
}

/** The fragments of one path. Its peer is proved; what it sends is bounded all the same. */
export class Reassembly {
  /** By number, the longest begun first. */
  readonly #partials = new Map<number, Partial>();
  readonly #dropped: () => void;
  #kept = 0;

  /** `dropped` counts datagrams that were begun and given up. */
  constructor(dropped: () => void) {
    this.#dropped = dropped;
  }

  /** Takes one piece, which is lent; answers with the whole datagram at its last. `now` in milliseconds. */
  add(flowId: number, number: number, index: number, count: number, piece: Buffer, now: number): Buffer | undefined {
    this.expire(now);
    let partial = this.#partials.get(number);
    // Numbers come round: another datagram under a number that is still kept means that the first one is over.
    if (partial !== undefined && (partial.flowId !== flowId || partial.count !== count)) {
      this.#giveUp(number, partial);
      partial = undefined;
    }
    if (partial === undefined) {
      partial = { flowId, count, pieces: new Map(), startedAt: now, bytes: 0 };
      this.#partials.set(number, partial);
    }
    if (partial.pieces.has(index)) return undefined;
    partial.pieces.set(index, copyApart(piece));
    partial.bytes += piece.length;
    this.#kept += 1;
    if (partial.bytes > MAXIMUM_DATAGRAM) this.#giveUp(number, partial);
    else if (partial.pieces.size === count) {
      this.#forget(number, partial);
      const inOrder = [...partial.pieces].sort(([one], [other]) => one - other).map(([, each]) => each);
      return Buffer.concat(inOrder, partial.bytes);
    } else if (this.#kept > PIECES_KEPT) {
      for (const [oldest, given] of this.#partials) {
        this.#giveUp(oldest, given);
        break;
      }
    }
    return undefined;
  }

  /** Lets go of what waited too long. */
  expire(now: number): void {
    for (const [number, partial] of this.#partials) {
      if (now - partial.startedAt < WAIT_MS) return;
      this.#giveUp(number, partial);
    }
  }

  #giveUp(number: number, partial: Partial): void {
    this.#forget(number, partial);
    this.#dropped();
  }

  #forget(number: number, partial: Partial): void {
    this.#partials.delete(number);
    this.#kept -= partial.pieces.size;
  }
}
