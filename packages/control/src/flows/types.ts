/** The window of ended flows that control keeps: who adds, who asks, who follows. */
import type { Action, FlowFilter, FlowRecord } from '@weft/proto';

/** A record, and where it stands among all that are kept: a later one has a higher cursor, over all networks. */
export interface KeptFlow {
  readonly record: FlowRecord;
  readonly cursor: number;
}

export interface WatchedFlow extends KeptFlow {
  /** Records that passed the filter and were gone before this watcher read them, just before this one. */
  readonly missed: number;
}

export interface FlowQuery {
  readonly filter: FlowFilter;
  /** Came to control at this time or later, milliseconds since the Unix epoch. */
  readonly fromMs?: number;
  /** Came to control before this time. */
  readonly toMs?: number;
  /** Only records with a lower cursor. */
  readonly before?: number;
  /** Only records with a higher cursor. */
  readonly after?: number;
  readonly limit: number;
}

export interface FoundFlows {
  /** Newest first. */
  readonly flows: readonly KeptFlow[];
  /** Cursor to go on before; undefined when no older record passes. */
  readonly older: number | undefined;
  /** Whether all that came after the query's `after` is kept still, where it has one; no is also said where it is not known. */
  readonly complete: boolean;
}

export interface HistoryQuery {
  readonly source?: string;
  readonly service?: string;
  readonly verdict?: Action;
  readonly fromMs?: number;
  readonly toMs?: number;
  /** 1 to 1,000. */
  readonly buckets: number;
}

export interface FlowBucket {
  readonly startMs: number;
  readonly allowed: number;
  readonly denied: number;
  /** Permitted, and failed in any way. */
  readonly failed: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface FlowHistory {
  readonly bucketMs: number;
  /** Oldest first; those in which nothing ended are left out. */
  readonly buckets: readonly FlowBucket[];
  readonly kept: KeptFlows;
}

/** What is kept now, of all networks. */
export interface KeptFlows {
  readonly records: number;
  /** When the oldest came; 0 when there is none. */
  readonly oldestMs: number;
  readonly diskBytes: number;
}

export interface FlowWindow {
  /**
   * Takes ended flows of one network, oldest first, from the agent on `host`, and how many it lost on the way. Both agents may
   * tell of a flow, when a tunnel breaks or an answer does not get through, for neither knows whether the other still can:
   * the destination's word stands, the source's fills in where there is none, and says that the flow failed for its caller.
   * What was told before in the same words, among the newest of the network, is let go. `settled` is called once, when all of
   * it is on disk or counted as lost, maybe before this returns; never when the window is closed before.
   */
  add(network: string, host: string, records: readonly FlowRecord[], dropped: number, settled?: () => void): void;
  /** The newest that pass. Sees every record added before the call. Rejects when the signal aborts, or with FlowsError. */
  query(network: string, query: FlowQuery, signal: AbortSignal): Promise<FoundFlows>;
  history(network: string, query: HistoryQuery, signal: AbortSignal): Promise<FlowHistory>;
  /** Each flow that is added from this call on, by the order of adding. Returns when the signal aborts, or the network is forgotten. */
  follow(network: string, filter: FlowFilter, signal: AbortSignal): AsyncIterable<WatchedFlow>;
  /** Users of who called, by the newest records, those in memory. */
  users(network: string): ReadonlySet<string>;
  /** The highest cursor that was given, over all networks; none is below it in the time to come. */
  readonly last: number;
  /** Throws away what is kept of the network, and ends who follows it. What is added from now on is of another of its name. */
  forget(network: string): void;
  /** Records lost between agents and the window since control started, or found missing from the disk. */
  dropped(network: string): number;
  /** For metrics: as of the last write. */
  readonly kept: KeptFlows;
  /** Resolves when all that was added is on disk. */
  close(): Promise<void>;
}
