/** What control's main thread and the thread of flows say to each other. */
import type { FlowLimits } from './limits.ts';
import type { PackedFlows } from './packing.ts';
import type { StoreTrouble } from './store.ts';
import type { FlowHistory, FlowQuery, HistoryQuery, KeptFlows } from './types.ts';

export interface ThreadStart {
  readonly directory: string;
  readonly limits: FlowLimits;
  /** Newest records of each network to begin with; 0 when the thread is started again. */
  readonly restore: number;
}

export type Question =
  | { readonly type: 'query'; readonly query: FlowQuery }
  | { readonly type: 'history'; readonly query: HistoryQuery };

export type ToThread =
  | { readonly type: 'write'; readonly packed: PackedFlows }
  /** Throws away what is kept of it. */
  | { readonly type: 'forget'; readonly network: string }
  | ({ readonly id: number; readonly network: string } & Question)
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' };

export type FromThread =
  /** Newest first. */
  | { readonly type: 'restored'; readonly packed: PackedFlows }
  | { readonly type: 'ready'; readonly last: number; readonly kept: KeptFlows }
  /** To each write, in order: what of it is lost, by network. */
  | { readonly type: 'written'; readonly lost: ReadonlyMap<string, number>; readonly kept: KeptFlows }
  /** Old segments were removed. */
  | { readonly type: 'kept'; readonly kept: KeptFlows }
  | {
      readonly type: 'found';
      readonly id: number;
      readonly packed: PackedFlows;
      readonly older: boolean;
      readonly complete: boolean;
    }
  | { readonly type: 'counted'; readonly id: number; readonly history: FlowHistory }
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
  | { readonly type: 'trouble'; readonly trouble: StoreTrouble }
  | { readonly type: 'closed' };
