/**
 * Moves bytes between two conduits until both halves are done. Half-close passes; the side that failed is named; a reset
 * is an ordinary end. Every flow goes through here, whatever its ends are.
 */
import type { Conduit } from './conduit.ts';

export type SpliceSide = 'a' | 'b';

export interface SpliceResult {
  readonly how: 'closed' | 'reset';
  /** The side that ended first when it was no orderly close. */
  readonly failedSide: SpliceSide | undefined;
  readonly cause: Error | undefined;
  readonly bytesAToB: number;
  readonly bytesBToA: number;
}

/** One side, and how far it is. */
interface Half {
  readonly side: SpliceSide;
  readonly conduit: Conduit;
  /** Bytes read from this side. */
  bytes: number;
  closed: boolean;
}

/** Attaches to both conduits. `done` is called exactly once, after both have closed. */
export function splice(a: Conduit, b: Conduit, done: (result: SpliceResult) => void): void {
  const halves = { a: half('a', a), b: half('b', b) };
  let how: SpliceResult['how'] = 'closed';
  let failedSide: SpliceSide | undefined;
  let cause: Error | undefined;

  const finishWhenBothClosed = (): void => {
    if (!halves.a.closed || !halves.b.closed) return;
    // Never inside `splice` itself, nor inside a conduit's own event: whoever called has not finished its turn.
    queueMicrotask(() => done({ how, failedSide, cause, bytesAToB: halves.a.bytes, bytesBToA: halves.b.bytes }));
  };

  const connect = (from: Half, to: Half): void => {
    from.conduit.attach({
      data(piece, owned) {
        from.bytes += piece.length;
        if (!to.closed && !to.conduit.write(piece, owned)) from.conduit.pause();
      },
      end: () => to.conduit.end(),
      // This side took what was written, so the other may be read again.
      drain: () => to.conduit.resume(),
      closed(end, error) {
        from.closed = true;
        if (end === 'reset' && how === 'closed') {
          how = 'reset';
          failedSide = from.side;
          cause = error;
        }
        // After a reset nothing this side could still say matters, and the other must learn of it.
        if (end === 'reset' && !to.closed) to.conduit.reset();
        finishWhenBothClosed();
      },
    });
  };

  connect(halves.a, halves.b);
  connect(halves.b, halves.a);
}

function half(side: SpliceSide, conduit: Conduit): Half {
  return { side, conduit, bytes: 0, closed: false };
}
