/**
 * What one agent holds, and the deltas that take it to its newest view. There is no queue: while a delta is on its way only
 * the newest view is kept, and what the next delta carries is the difference to that.
 */

import { encodeDeltaMessage } from '@weft/proto/wire';
import {
  type AgentView,
  type Difference,
  difference,
  differenceFromInventory,
  type PartDifferences,
} from '../netmap/agent-view.ts';

/** Where an agent says that it stands. */
export interface Standing {
  readonly index: number;
  /** Digests in hexadecimal by key; empty when it holds nothing. */
  readonly inventory: ReadonlyMap<string, string>;
  /** What it understands: see CAPABILITIES. */
  readonly capability: number;
}

export interface FeedOptions {
  /** The run of control that counts indexes. */
  readonly timeline: string;
  /** Proves to control, when the agent gives it back, that it was told of the revision. */
  readonly receipt: (revision: number) => Uint8Array;
  readonly memory: PartDifferences;
  readonly resyncMs: number;
  /** Hands a message to the transport, which calls `done` once it has gone out and the next may follow. */
  readonly send: (message: Uint8Array, done: () => void) => void;
}

export class Feed {
  readonly capability: number;
  readonly #options: FeedOptions;
  #inventory: ReadonlyMap<string, string> | undefined;
  /** The view that the agent holds once all that was sent has arrived. */
  #held: AgentView | undefined;
  #newest: AgentView | undefined;
  #index: number;
  #revision = 0;
  #sending: boolean = false;
  #closed: boolean = false;
  #snapshotAllowed: boolean = true;
  #snapshotTimer: NodeJS.Timeout | undefined;

  constructor(options: FeedOptions, standing: Standing) {
    this.#options = options;
    this.#inventory = standing.inventory.size > 0 ? standing.inventory : undefined;
    this.#index = standing.index;
    this.capability = standing.capability;
  }

  /** Whether a delta with this index and revision has been sent. */
  hasSent(index: number, revision: number): boolean {
    return index <= this.#index && revision <= this.#revision;
  }

  /** Whether it was ever offered a view. The first one costs far more than the next: it is compared item by item. */
  get begun(): boolean {
    return this.#newest !== undefined || this.#held !== undefined;
  }

  /** Takes the newest view; one offered before and not sent yet is dropped. */
  offer(view: AgentView): void {
    this.#newest = view;
    this.#push();
  }

  /** The agent lost its place: the next delta is a snapshot. No more often than every `resyncMs`. */
  resync(): void {
    this.#newest ??= this.#held;
    this.#held = undefined;
    this.#inventory = undefined;
    this.#push();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#snapshotTimer);
  }

  #push(): void {
    const view = this.#newest;
    if (this.#closed || this.#sending || view === undefined) return;
    const { change, snapshot } = this.#changeTo(view);
    if (snapshot && !this.#snapshotAllowed) return;
    this.#newest = undefined;
    const nothing = change.upserts.length + change.removals.length === 0;
    // An empty delta still carries a new revision, so that its acknowledgement says that the revision is enforced.
    if (nothing && this.#held !== undefined && view.revision === this.#revision) {
      this.#held = view;
      return;
    }
    this.#send(view, change, snapshot);
  }

  #changeTo(view: AgentView): { readonly change: Difference; readonly snapshot: boolean } {
    const held = this.#held;
    // Every pair's key comes from the agent's tunnel key: with another one, nothing it holds of peers is of use.
    if (held !== undefined && Buffer.compare(held.viewer.tunnelKey, view.viewer.tunnelKey) === 0) {
      return { change: difference(held, view, this.#options.memory), snapshot: false };
    }
    if (this.#inventory !== undefined)
      return { change: differenceFromInventory(this.#inventory, view), snapshot: false };
    return { change: { upserts: [...view.entries()], removals: [] }, snapshot: true };
  }

  #send(view: AgentView, { upserts, removals }: Difference, snapshot: boolean): void {
    const message = encodeDeltaMessage({
      timeline: this.#options.timeline,
      previous: snapshot ? 0 : this.#index,
      index: this.#index + 1,
      revision: view.revision,
      snapshot,
      upserts: upserts.map((entry) => entry.bytes(view.viewer)),
      removals,
      receipt: this.#options.receipt(view.revision),
    });
    if (snapshot) this.#holdBackSnapshots();
    this.#index += 1;
    this.#revision = view.revision;
    this.#held = view;
    this.#inventory = undefined;
    this.#sending = true;
    this.#options.send(message, () => {
      this.#sending = false;
      this.#push();
    });
  }

  #holdBackSnapshots(): void {
    this.#snapshotAllowed = false;
    this.#snapshotTimer = setTimeout(() => {
      this.#snapshotAllowed = true;
      this.#push();
    }, this.#options.resyncMs);
    this.#snapshotTimer.unref();
  }
}
