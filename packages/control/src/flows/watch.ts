/** A watch of flows: some of the past, then each as it ends; or all since a place where another watch was, and then each. */
import type { FlowFilter, FlowRecord } from '@weft/proto';
import type { FlowWindow } from './types.ts';

export interface FlowWatchQuery {
  readonly filter: FlowFilter;
  /** Of the past, what came to control at this time or later. */
  readonly fromMs?: number;
  /** How many of the past to begin with. */
  readonly past: number;
  /** Cursor to go on after, in place of a past. */
  readonly resume?: number;
}

export interface WatchStep {
  /** Undefined where there is only a place to tell. */
  readonly flow?: FlowRecord;
  /** A watch that goes on from here misses nothing, and gets nothing twice. */
  readonly cursor: number;
  readonly missed?: number;
  /** Some of what ended since `resume` may not be kept any more. */
  readonly gap?: boolean;
}

/** Records asked of the disk at once. */
const PAGE = 1_000;
/** Cursors that are looked through at once, to begin with: those of other networks and of starts of control hold no record. */
const WIDTH = 8 * PAGE;
/** So near to the newest, what is left is read while new ones wait in memory, where 10,000 have room. */
const NEAR = 2_000;

/** Ends when the signal aborts, or the network is not there any more. Throws FlowsError. */
export async function* watchOf(
  window: FlowWindow,
  network: string,
  query: FlowWatchQuery,
  isThere: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<WatchStep> {
  const { filter, resume } = query;
  const end = new AbortController();
  const follow = () => window.follow(network, filter, AbortSignal.any([signal, end.signal]));
  try {
    if (resume === undefined) {
      // The place to follow from is taken in the same turn as the past is asked for: no flow falls between the two.
      const coming = follow();
      yield* newest(window, network, query, signal);
      yield* steps(coming);
      return;
    }
    const known = Math.min(resume, window.last);
    const { complete } = await window.query(network, { filter: {}, after: known, before: 0, limit: 1 }, signal);
    // A place beyond all that is there is of data that was put back from an older copy.
    yield { cursor: known, gap: !complete || known < resume };
    let place = known;
    while (window.last - place > NEAR) {
      const until = window.last;
      yield* between(window, network, filter, [place, until], signal);
      place = until;
    }
    // It may have been removed while the past was read, and nothing would ever come.
    if (!isThere()) return;
    const coming = follow();
    yield* between(window, network, filter, [place, window.last], signal);
    yield* steps(coming);
  } finally {
    // Also when the past could not be read, and nobody ever asks for what comes.
    end.abort();
  }
}

async function* newest(
  window: FlowWindow,
  network: string,
  { filter, fromMs = 0, past }: FlowWatchQuery,
  signal: AbortSignal,
): AsyncGenerator<WatchStep> {
  const [last, { flows }] = await Promise.all([
    window.query(network, { filter: {}, limit: 1 }, signal),
    past === 0 ? { flows: [] } : window.query(network, { filter, fromMs, limit: past }, signal),
  ]);
  for (const { record, cursor } of flows.toReversed()) yield { flow: record, cursor };
  yield { cursor: last.flows[0]?.cursor ?? 0 };
}

async function* steps(coming: ReturnType<FlowWindow['follow']>): AsyncGenerator<WatchStep> {
  for await (const { record, cursor, missed } of coming) yield { flow: record, cursor, missed };
}

/** Those with a cursor above the first and up to the second, oldest first: read in stretches that hold few enough. */
async function* between(
  window: FlowWindow,
  network: string,
  filter: FlowFilter,
  [after, until]: readonly [number, number],
  signal: AbortSignal,
): AsyncGenerator<WatchStep> {
  let width = WIDTH;
  for (let place = after; place < until; ) {
    const to = Math.min(until, place + width);
    const asked = { filter, after: place, before: to + 1, limit: PAGE };
    const { flows, older } = await window.query(network, asked, signal);
    if (older !== undefined) {
      width = Math.max(PAGE, Math.floor(width / 8));
      continue;
    }
    for (const { record, cursor } of flows.toReversed()) yield { flow: record, cursor };
    place = to;
    if (flows.length < PAGE / 8) width *= 8;
  }
}
