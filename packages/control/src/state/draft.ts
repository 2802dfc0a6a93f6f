/** A change as it is worked out. Nothing of it is so before its writes are on disk. */
import type { Act } from '../audit/entry.ts';
import type { RowWrite } from '../store/rows.ts';
import type { Clocks } from './clocks.ts';
import type { NetworkState } from './types.ts';

export interface Draft {
  readonly nowMs: number;
  readonly clocks: Clocks;
  /** Its place in the log. */
  readonly sequence: number;
  /** The one that it makes, if it makes any. */
  readonly revision: number;
  /** What it would write, in this order. */
  readonly writes: RowWrite[];
}

/** What a change comes to. One that writes nothing is none. */
export interface Outcome<T> {
  /** For who asked for it. */
  readonly answer: T;
  /** Part of the next snapshot; left out when agents need not know. One, but for a change of all. */
  readonly networks?: readonly NetworkState[];
  /** The name of one that is gone. */
  readonly removed?: string;
  /** Whether anything that was permitted may now be denied. */
  readonly takesAway?: boolean;
  /** Who did it; left out when it is nobody's doing. */
  readonly act?: Act;
}
