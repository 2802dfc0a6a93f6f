/** Flows of the past: a page of them, and how many there were over time. */
import {
  ACTIONS,
  ADMIN_LIMITS,
  defined,
  FLOW_ID,
  FLOW_NAME_FILTERS,
  FLOW_OUTCOMES,
  type FlowFilter,
  WIRE_LIMITS,
} from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import type { FlowWindow } from '../flows/types.ts';
import type { StateStore } from '../state/types.ts';
import type { FlowHistory, FlowPage, FlowQuery } from './api.ts';
import { DashboardError } from './errors.ts';
import { networkRoutes } from './network-routes.ts';
import { caller, digits, oneOf, serviceName, text, timeMs } from './schemas.ts';

export interface FlowRouteOptions {
  readonly state: StateStore;
  readonly flows: Pick<FlowWindow, 'query' | 'history'>;
}

type HistoryParameters = { readonly buckets?: string } & Pick<
  FlowQuery,
  'source' | 'service' | 'verdict' | 'fromMs' | 'toMs'
>;

const LIMIT = 200;
const BUCKETS = 100;
const MOST = 1_000;

const flowId = { type: 'string', pattern: FLOW_ID.source, description: 'the id of a flow, 16 lower-case hex digits' };

const shared = {
  source: caller,
  service: serviceName,
  verdict: oneOf(ACTIONS),
  fromMs: timeMs,
  toMs: timeMs,
};

const page = {
  ...shared,
  ...Object.fromEntries(FLOW_NAME_FILTERS.map((field) => [field, text(1, WIRE_LIMITS.name, `a text for ${field}`)])),
  host: text(1, 63, 'the name of a host'),
  outcome: oneOf(FLOW_OUTCOMES),
  port: digits(5, 'a port, 1 to 65535'),
  text: text(1, ADMIN_LIMITS.flowText, `a text of at most ${ADMIN_LIMITS.flowText} characters`),
  id: flowId,
  before: digits(15, 'the cursor of a flow'),
  limit: digits(4, 'a number, 1 to 1000'),
};

export function flowRoutes(app: FastifyInstance, { state, flows }: FlowRouteOptions): void {
  const get = networkRoutes(app, state);

  get<FlowPage, FlowQuery>('/flows', { parameters: page }, async ({ name }, query, signal) => {
    const { before, limit, fromMs, toMs, ...wanted } = query;
    const bounds = { ...numbers({ fromMs, toMs, before }), limit: within(limit, 'limit', LIMIT, MOST) };
    const found = await flows.query(name, { filter: filterOf(wanted), ...bounds }, signal);
    return {
      flows: found.flows.map(({ record, cursor }) => ({ ...record, cursor })),
      ...defined({ older: found.older }),
    };
  });

  const counted = { ...shared, buckets: digits(4, 'a number, 1 to 1000') };
  get<FlowHistory, HistoryParameters>('/flows/history', { parameters: counted }, async ({ name }, query, signal) => {
    const { buckets, fromMs, toMs, ...wanted } = query;
    const bounds = { ...numbers({ fromMs, toMs }), buckets: within(buckets, 'buckets', BUCKETS, MOST) };
    const { kept, ...history } = await flows.history(name, { ...wanted, ...bounds }, signal);
    return { ...history, kept: kept.records, oldestMs: kept.oldestMs, diskBytes: kept.diskBytes };
  });
}

function filterOf({ port, ...wanted }: Omit<FlowQuery, 'fromMs' | 'toMs' | 'before' | 'limit'>): FlowFilter {
  return port === undefined ? wanted : { ...wanted, port: within(port, 'port', 0, 65_535) };
}

/** Those that are there. */
function numbers<Name extends string>(
  digits: Readonly<Record<Name, string | undefined>>,
): {
  readonly [Each in Name]?: number;
} {
  const there = Object.entries(defined(digits)).map(([name, value]) => [name, Number(value)]);
  return Object.fromEntries(there) as { readonly [Each in Name]?: number };
}

function within(digits: string | undefined, name: string, preset: number, most: number): number {
  const value = digits === undefined ? preset : Number(digits);
  if (value >= 1 && value <= most) return value;
  throw new DashboardError('invalid', `${name}: expected a number, 1 to ${most}`);
}
