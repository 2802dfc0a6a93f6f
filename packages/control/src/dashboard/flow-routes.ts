/** Flows of the past: a page of them, and how many there were over time. */
import {
  ADMIN_LIMITS,
  defined,
  FLOW_ID,
  FLOW_NAME_FILTERS,
  FLOW_OUTCOMES,
  type FlowFilter,
  WIRE_LIMITS,
} from '@weft/proto';
import type { FastifyInstance } from 'fastify';
import { requireNetwork } from '../admin/request.ts';
import type { FlowWindow, HistoryQuery } from '../flows/types.ts';
import type { StateStore } from '../state/types.ts';
import type { FlowHistory, FlowPage, FlowQuery } from './api.ts';
import { DashboardError } from './errors.ts';
import { gone } from './gone.ts';
import { caller, closed, digits, networkName, oneOf, serviceName, text, timeMs } from './schemas.ts';

export interface FlowRouteOptions {
  readonly state: StateStore;
  readonly flows: Pick<FlowWindow, 'query' | 'history'>;
}

type HistoryParameters = { readonly network?: string; readonly buckets?: string } & Pick<
  FlowQuery,
  'source' | 'service' | 'verdict' | 'fromMs' | 'toMs'
>;

const LIMIT = 200;
const BUCKETS = 100;
const MOST = 1_000;

const flowId = { type: 'string', pattern: FLOW_ID.source, description: 'the id of a flow, 16 lower-case hex digits' };

const shared = {
  network: networkName,
  source: caller,
  service: serviceName,
  verdict: oneOf(['allow', 'deny']),
  fromMs: timeMs,
  toMs: timeMs,
};

const pageQuery = closed({
  ...shared,
  ...Object.fromEntries(FLOW_NAME_FILTERS.map((field) => [field, text(1, WIRE_LIMITS.name, `a text for ${field}`)])),
  host: text(1, 63, 'the name of a host'),
  outcome: oneOf(FLOW_OUTCOMES),
  port: digits(5, 'a port, 1 to 65535'),
  text: text(1, ADMIN_LIMITS.flowText, `a text of at most ${ADMIN_LIMITS.flowText} characters`),
  id: flowId,
  before: digits(15, 'the cursor of a flow'),
  limit: digits(4, 'a number, 1 to 1000'),
});

export function flowRoutes(app: FastifyInstance, { state, flows }: FlowRouteOptions): void {
  app.get<{ Querystring: FlowQuery & { readonly network?: string } }>(
    '/flows',
    { config: { access: 'read' }, schema: { querystring: pageQuery } },
    async (request, reply): Promise<FlowPage> => {
      const { network = '', before, limit, fromMs, toMs, ...wanted } = request.query;
      const { name } = requireNetwork(state.current, network);
      const found = await flows.query(
        name,
        {
          filter: filterOf(wanted),
          ...times({ fromMs, toMs }),
          ...(before === undefined ? {} : { before: Number(before) }),
          limit: within(limit, 'limit', LIMIT, MOST),
        },
        gone(reply),
      );
      return {
        flows: found.flows.map(({ record, cursor }) => ({ ...record, cursor })),
        ...defined({ older: found.older }),
      };
    },
  );

  app.get<{ Querystring: HistoryParameters }>(
    '/flows/history',
    {
      config: { access: 'read' },
      schema: { querystring: closed({ ...shared, buckets: digits(4, 'a number, 1 to 1000') }) },
    },
    async (request, reply): Promise<FlowHistory> => {
      const { network = '', buckets, fromMs, toMs, ...wanted } = request.query;
      const { name } = requireNetwork(state.current, network);
      const query: HistoryQuery = {
        ...wanted,
        ...times({ fromMs, toMs }),
        buckets: within(buckets, 'buckets', BUCKETS, MOST),
      };
      const { kept, ...history } = await flows.history(name, query, gone(reply));
      return { ...history, kept: kept.records, oldestMs: kept.oldestMs, diskBytes: kept.diskBytes };
    },
  );
}

function filterOf({ port, ...wanted }: Omit<FlowQuery, 'fromMs' | 'toMs' | 'before' | 'limit'>): FlowFilter {
  return port === undefined ? wanted : { ...wanted, port: within(port, 'port', 0, 65_535) };
}

function times({ fromMs, toMs }: { readonly fromMs: string | undefined; readonly toMs: string | undefined }): {
  readonly fromMs?: number;
  readonly toMs?: number;
} {
  return {
    ...(fromMs === undefined ? {} : { fromMs: Number(fromMs) }),
    ...(toMs === undefined ? {} : { toMs: Number(toMs) }),
  };
}

function within(digits: string | undefined, name: string, preset: number, most: number): number {
  const value = digits === undefined ? preset : Number(digits);
  if (value >= 1 && value <= most) return value;
  throw new DashboardError('invalid', `${name}: expected a number, 1 to ${most}`);
}
