/** What a request asks of the flows, checked, with every problem collected before it is refused; and the flows to one watcher. */
import {
  ADMIN_LIMITS,
  defined,
  FILTERED_FLOW_FIELDS,
  type FieldProblem,
  FLOW_ID,
  FLOW_NAME_FILTERS,
  type FlowFilter,
  problem,
  WIRE_LIMITS,
} from '@weft/proto';
import {
  actionCodec,
  callerFromWire,
  durationToWire,
  flowToWire,
  outcomeCodec,
  type pb,
  timestampFromWire,
  timestampToWire,
  WireError,
} from '@weft/proto/wire';
import { RequestError, readAll } from '../admin/errors.ts';
import type { FlowHistory, FlowQuery, FlowWindow, HistoryQuery } from '../flows/types.ts';
import { type FlowWatchQuery, watchOf } from '../flows/watch.ts';
import { StateError } from '../state/errors.ts';
import type { Write } from './calls.ts';
import { keyOf, type Listing, readPage, tokenOf } from './page.ts';

const DEFAULT_BUCKETS = 120;

/** A page of one network's flows begins after a cursor, whatever is asked for from there; numbers rise, so it is negative. */
const pagesOf = (network: string): Listing => ({ of: ['flows', network], form: [0] });
/** A watch goes on after a cursor. */
const watchesOf = (network: string): Listing => ({ of: ['watch-flows', network], form: [0] });

/** Throws RequestError. */
export function readFlowPage(network: string, { filter: wire, pageSize, pageToken }: pb.ListFlowsRequest): FlowQuery {
  const { asked, page } = readAll({
    asked: () => requireFilter(wire),
    page: () => readPage({ pageSize, pageToken }, pagesOf(network)),
  });
  return { ...asked, ...defined({ before: page.after && -Number(page.after[0]) }), limit: page.size };
}

/** Throws RequestError. */
export function readFlowWatch(network: string, request: pb.WatchFlowsRequest): FlowWatchQuery {
  const { filter: wire, past, resumeToken } = request;
  const problems: FieldProblem[] = [];
  const { filter, fromMs, toMs } = readFilter(wire, problems);
  const place = resumeToken === '' ? undefined : keyOf(resumeToken, watchesOf(network));
  if (past > ADMIN_LIMITS.flows) problems.push(problem('past', `expected at most ${ADMIN_LIMITS.flows}`));
  if (toMs !== undefined) problems.push(problem('filter.to_time', 'what is watched has no end; leave it out'));
  if (resumeToken !== '' && !(Number(place?.[0]) >= 0)) {
    problems.push(problem('resume_token', 'expected the resume_token of another watch of this network'));
  }
  if (resumeToken !== '' && past > 0) problems.push(problem('past', 'a watch that goes on has no past; leave it out'));
  if (problems.length > 0) throw new RequestError(problems);
  return { filter, ...defined({ fromMs, resume: place && Number(place[0]) }), past };
}

/** Counts are kept by these only. */
const COUNTED: readonly (keyof FlowFilter)[] = ['source', 'service', 'verdict'];
const NOT_COUNTED = (['host', ...FILTERED_FLOW_FIELDS, 'text'] as const).filter((field) => !COUNTED.includes(field));
/** Filters by a name; an id has a form of its own. */
const NAMES = ['host' as const, 'service' as const, ...FLOW_NAME_FILTERS] as const;

/** Throws RequestError. */
export function readFlowCount({ filter: wire, buckets }: pb.CountFlowsRequest): HistoryQuery {
  const problems: FieldProblem[] = [];
  const { filter, fromMs, toMs } = readFilter(wire, problems);
  for (const field of NOT_COUNTED) {
    if (filter[field] === undefined || problems.some(({ field: named }) => named === `filter.${field}`)) continue;
    problems.push(problem(`filter.${field}`, 'flows are not counted by this; leave it out'));
  }
  if (buckets > ADMIN_LIMITS.buckets) problems.push(problem('buckets', `expected at most ${ADMIN_LIMITS.buckets}`));
  if (problems.length > 0) throw new RequestError(problems);
  const { source, service, verdict } = filter;
  return {
    ...defined({ source, service, verdict, fromMs, toMs }),
    buckets: buckets || DEFAULT_BUCKETS,
  };
}

/** Throws RequestError. */
export function requireFilter(wire: pb.FlowFilter | null | undefined): ReadFilter {
  const problems: FieldProblem[] = [];
  const asked = readFilter(wire, problems);
  if (problems.length > 0) throw new RequestError(problems);
  return asked;
}

interface ReadFilter {
  readonly filter: FlowFilter;
  readonly fromMs?: number;
  readonly toMs?: number;
}

function readFilter(wire: pb.FlowFilter | null | undefined, problems: FieldProblem[]): ReadFilter {
  if (wire === null || wire === undefined) return { filter: {} };
  const { port, text, id } = wire;
  const fromMs = read(() => timestampFromWire(wire.fromTime, 'filter.from_time')) ?? 0;
  const toMs = read(() => timestampFromWire(wire.toTime, 'filter.to_time')) ?? 0;
  for (const field of NAMES) {
    if (wire[field].length > WIRE_LIMITS.name)
      problems.push(problem(`filter.${field}`, `expected at most ${WIRE_LIMITS.name} characters`));
  }
  if (text.length > ADMIN_LIMITS.flowText)
    problems.push(problem('filter.text', `expected at most ${ADMIN_LIMITS.flowText} characters`));
  if (port > 65_535) problems.push(problem('filter.port', 'expected 1 to 65535'));
  if (id !== '' && !FLOW_ID.test(id)) {
    problems.push(problem('filter.id', 'expected 16 hexadecimal digits in lower case'));
  }
  if (toMs !== 0 && toMs <= fromMs) problems.push(problem('filter.to_time', 'expected a time after from_time'));
  const source = read(() => callerFromWire(wire.caller, 'filter.caller') || undefined);
  const verdict = wire.verdict === 0 ? undefined : read(() => actionCodec.fromWire(wire.verdict, 'filter.verdict'));
  const outcome = wire.outcome === 0 ? undefined : read(() => outcomeCodec.fromWire(wire.outcome, 'filter.outcome'));
  // What is left out reads as empty, 0 or, for a word, unspecified, which the codecs have no word for.
  const plain = ([...NAMES, 'id', 'port', 'text'] as const).filter((field) => wire[field] !== '' && wire[field] !== 0);
  const filter: FlowFilter = {
    ...Object.fromEntries(plain.map((field) => [field, wire[field]])),
    ...defined({ source, verdict, outcome }),
  };
  return { filter, ...(fromMs === 0 ? {} : { fromMs }), ...(toMs === 0 ? {} : { toMs }) };

  function read<T>(from: () => T): T | undefined {
    try {
      return from();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      problems.push(...error.fields);
      return undefined;
    }
  }
}

export async function listFlows(
  window: FlowWindow,
  network: string,
  query: FlowQuery,
  signal: AbortSignal,
): Promise<pb.Outgoing<pb.ListFlowsResponse>> {
  const { flows, older } = await window.query(network, query, signal);
  const nextPageToken = older === undefined ? '' : tokenOf(pagesOf(network), [-older]);
  return { flows: flows.map(({ record, cursor }) => ({ ...flowToWire(record), sequence: cursor })), nextPageToken };
}

export async function watchFlows(
  window: FlowWindow,
  network: string,
  query: FlowWatchQuery,
  isThere: () => boolean,
  signal: AbortSignal,
  write: Write<pb.WatchFlowsResponse>,
): Promise<void> {
  const listing = watchesOf(network);
  for await (const { flow, cursor, ...more } of watchOf(window, network, query, isThere, signal)) {
    const told = flow && { flow: { ...flowToWire(flow), sequence: cursor } };
    await write({ ...more, ...told, resumeToken: tokenOf(listing, [cursor]) });
  }
  signal.throwIfAborted();
  throw new StateError('no-such-network', `network ${network} was removed`, [], { network });
}

export function countsToWire({ bucketMs, buckets, kept }: FlowHistory): pb.Outgoing<pb.CountFlowsResponse> {
  return {
    bucketLength: durationToWire(bucketMs),
    buckets: buckets.map(({ startMs, ...counts }) => ({ ...counts, startTime: timestampToWire(startMs) })),
    kept: kept.records,
    oldestTime: timestampToWire(kept.oldestMs),
    diskBytes: kept.diskBytes,
  };
}
