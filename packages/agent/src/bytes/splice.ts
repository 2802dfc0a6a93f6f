/**
 * Moves bytes between two conduits until both halves are done. Half-close passes; the side that failed is named; a reset
 * is an ordinary end. Every flow goes through here, whatever its ends are.
 */
import type { Conduit, ConduitEvents } from '../words/conduit.ts';

/** Milliseconds that what was written before a reset has to leave. */
const LAST_WORDS_MS = 2_000;

export type SpliceSide = 'a' | 'b';

export interface SpliceResult {
  readonly how: 'closed' | 'reset';
  /** The side that ended first when it was no orderly close. */
  readonly failedSide: SpliceSide | undefined;
  readonly cause: Error | undefined;
}

/** Attaches to both conduits. `done` is called exactly once, after both have closed. */
export function splice(a: Conduit, b: Conduit, done: (result: SpliceResult) => void): void {
  const splicing = new Splicing(a, b, done);
  a.attach(splicing.a);
  b.attach(splicing.b);
}

/** Three objects and no closures: there is one of these for each of thousands of idle connections. */
class Splicing {
  readonly a: Half;
  readonly b: Half;
  readonly #done: (result: SpliceResult) => void;
  #how: SpliceResult['how'] = 'closed';
  #failedSide: SpliceSide | undefined;
  #cause: Error | undefined;

  constructor(a: Conduit, b: Conduit, done: (result: SpliceResult) => void) {
    this.a = new Half(this, 'a', a, b);
    this.b = new Half(this, 'b', b, a);
    this.#done = done;
  }

  closed(side: SpliceSide, how: SpliceResult['how'], error: Error | undefined): void {
    const other = side === 'a' ? this.b : this.a;
    if (how === 'reset' && this.#how === 'closed') {
      this.#how = 'reset';
      this.#failedSide = side;
      this.#cause = error;
    }
    other.writable = false;
    // After a reset nothing this side could still say matters, and the other must learn of it.
    if (how === 'reset' && !other.closedHere) resetBehind(other);
    if (!this.a.closedHere || !this.b.closedHere) return;
    const result = {
      how: this.#how,
      failedSide: this.#failedSide,
      cause: this.#cause,
    };
    // Never inside `splice` itself, nor inside a conduit's own event: whoever called has not finished its turn.
    queueMicrotask(() => this.#done(result));
  }
}

/** What one side wrote last goes before the reset, as on a direct connection; a side that takes nothing is not waited for. */
function resetBehind(half: Half): void {
  half.conduit.resetWhenWritten();
  if (half.closedHere) return;
  setTimeout(() => {
    if (!half.closedHere) half.conduit.reset();
  }, LAST_WORDS_MS).unref();
}

/** What one side says, and how far it is. */
class Half implements ConduitEvents {
  readonly conduit: Conduit;
  readonly #splicing: Splicing;
  readonly #side: SpliceSide;
  readonly #to: Conduit;
  closedHere: boolean = false;
  /** False when the other side has closed. */
  writable: boolean = true;

  constructor(splicing: Splicing, side: SpliceSide, conduit: Conduit, to: Conduit) {
    this.#splicing = splicing;
    this.#side = side;
    this.conduit = conduit;
    this.#to = to;
  }

  data(piece: Buffer, owned: boolean): void {
    if (this.writable && !this.#to.write(piece, owned)) this.conduit.pause();
  }

  end(): void {
    this.#to.end();
  }

  /** This side took what was written, so the other may be read again. */
  drain(): void {
    this.#to.resume();
  }

  closed(how: 'closed' | 'reset', cause?: Error): void {
    this.closedHere = true;
    this.#splicing.closed(this.#side, how, cause);
  }
}
