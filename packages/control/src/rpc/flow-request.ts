/** What a request asks of the flows, checked, with every problem collected before it is refused; and the flows to one watcher. */
import {
  ADMIN_LIMITS,
  defined,
  FILTERED_FLOW_FIELDS,
  type FieldProblem,
  FLOW_ID,
  FLOW_TEXT_FILTERS,
  type FlowFilter,
  problem,
  WIRE_LIMITS,
} from '@weft/proto';
import { actionCodec, flowToWire, outcomeCodec, type pb, WireError } from '@weft/proto/wire';
import { RequestError } from '../admin/errors.ts';
import type { FlowHistory, FlowQuery, FlowWindow, HistoryQuery, KeptFlow } from '../flows/types.ts';
import type { Write } from './handler.ts';

const DEFAULT_FLOWS = 100;
const DEFAULT_BUCKETS = 120;

export interface FlowWatch {
  readonly query: FlowQuery;
  readonly follow: boolean;
}

/** Throws RequestError. */
export function readFlowWatch(request: pb.WatchFlowsRequest): FlowWatch {
  const { follow, limit, before } = request;
  const problems: FieldProblem[] = [];
  const { filter, ...times } = readFilter(request.filter, problems);
  if (limit > ADMIN_LIMITS.flows) problems.push(problem('limit', `expected at most ${ADMIN_LIMITS.flows}`));
  checkNumber(before, 'before', problems);
  if (follow && before > 0) problems.push(problem('before', 'what is followed has no end; leave it out, or follow'));
  if (follow && times.toMs !== undefined) {
    problems.push(problem('filter.to_ms', 'what is followed has no end; leave it out, or follow'));
  }
  if (problems.length > 0) throw new RequestError(problems);
  return {
    query: {
      filter,
      ...times,
      ...(before === 0 ? {} : { before }),
      limit: limit || DEFAULT_FLOWS,
    },
    follow,
  };
}

/** Counts are kept by these only. */
const COUNTED: readonly (keyof FlowFilter)[] = ['source', 'service', 'verdict'];
const NOT_COUNTED = (['host', ...FILTERED_FLOW_FIELDS, 'text'] as const).filter((field) => !COUNTED.includes(field));
/** Filters by a name; an id has a form of its own. */
const NAMES = ['host' as const, ...FLOW_TEXT_FILTERS] as const;

/** Throws RequestError. */
export function readFlowHistory({ filter: wire, buckets }: pb.GetFlowHistoryRequest): HistoryQuery {
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

interface ReadFilter {
  readonly filter: FlowFilter;
  readonly fromMs?: number;
  readonly toMs?: number;
}

function readFilter(wire: pb.FlowFilter | null | undefined, problems: FieldProblem[]): ReadFilter {
  if (wire === null || wire === undefined) return { filter: {} };
  const { port, text, id } = wire;
  const fromMs = checkNumber(wire.fromMs, 'filter.from_ms', problems);
  const toMs = checkNumber(wire.toMs, 'filter.to_ms', problems);
  for (const field of NAMES) {
    if (String(wire[field]).length > WIRE_LIMITS.name)
      problems.push(problem(`filter.${field}`, `expected at most ${WIRE_LIMITS.name} characters`));
  }
  if (text.length > ADMIN_LIMITS.flowText)
    problems.push(problem('filter.text', `expected at most ${ADMIN_LIMITS.flowText} characters`));
  if (port > 65_535) problems.push(problem('filter.port', 'expected 1 to 65535'));
  if (id !== '' && !FLOW_ID.test(id)) {
    problems.push(problem('filter.id', 'expected 16 hexadecimal digits in lower case'));
  }
  if (toMs !== 0 && toMs <= fromMs) problems.push(problem('filter.to_ms', 'expected a time after from_ms'));
  const verdict = wire.verdict === 0 ? undefined : read(() => actionCodec.fromWire(wire.verdict, ''), 'verdict');
  const outcome = wire.outcome === 0 ? undefined : read(() => outcomeCodec.fromWire(wire.outcome, ''), 'outcome');
  // What is left out reads as empty, 0 or, for a word, unspecified, which the codecs have no word for.
  const plain = ([...NAMES, 'id', 'port', 'text'] as const).filter((field) => wire[field] !== '' && wire[field] !== 0);
  const filter: FlowFilter = {
    ...Object.fromEntries(plain.map((field) => [field, wire[field]])),
    ...defined({ verdict, outcome }),
  };
  return { filter, ...(fromMs === 0 ? {} : { fromMs }), ...(toMs === 0 ? {} : { toMs }) };

  function read<T>(from: () => T, field: string): T | undefined {
    try {
      return from();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      problems.push(problem(`filter.${field}`, error.message.replace(/^: /, '')));
      return undefined;
    }
  }
}

function checkNumber(value: number, field: string, problems: FieldProblem[]): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    problems.push(problem(field, `expected 0 to ${Number.MAX_SAFE_INTEGER}`));
  }
  return value;
}

export async function watchFlows(
  window: FlowWindow,
  network: string,
  { query, follow }: FlowWatch,
  signal: AbortSignal,
  write: Write<pb.WatchFlowsResponse>,
): Promise<void> {
  // The place to follow from is taken in the same turn as the past is asked for: no flow falls between the two.
  const end = new AbortController();
  const until = AbortSignal.any([signal, end.signal]);
  const coming = follow ? window.follow(network, query.filter, until) : undefined;
  try {
    const { flows } = await window.query(network, query, signal);
    for (const flow of flows.toReversed()) await write(answer(flow, 0));
    if (coming === undefined) return;
    for await (const flow of coming) await write(answer(flow, flow.missed));
  } finally {
    // Also when the past could not be read, and nobody ever asks for what comes.
    end.abort();
  }
}

function answer({ record, cursor }: KeptFlow, missed: number): pb.Outgoing<pb.WatchFlowsResponse> {
  return { record: flowToWire(record), missed, cursor };
}

export function historyToWire({ kept, ...history }: FlowHistory): pb.Outgoing<pb.GetFlowHistoryResponse> {
  return { ...history, ...kept, kept: kept.records };
}
