/** Which flows are asked for: read from the address, sent to control, and asked of each live record here. */
import type { FlowQuery, FlowView } from '../../../src/dashboard/api.ts';

export const FILTER_FIELDS = ['source', 'service', 'verdict', 'text', 'host', 'rule', 'outcome', 'port'] as const;
export type FilterField = (typeof FILTER_FIELDS)[number];
export type Filter = Readonly<Partial<Record<FilterField, string>>>;

export const OUTCOMES: readonly FlowView['outcome'][] = [
  'closed',
  'reset',
  'denied',
  'cut',
  'no-instance',
  'not-listening',
  'unreachable',
  'overloaded',
];

/** What is empty, or is no filter, is left out. */
export function filterOf(query: Readonly<Record<string, string | undefined>>): Filter {
  const filter: Partial<Record<FilterField, string>> = {};
  for (const field of FILTER_FIELDS) {
    const value = query[field]?.trim();
    if (value !== undefined && value !== '' && isPossible(field, value)) filter[field] = value;
  }
  return filter;
}

export function toQuery(filter: Filter): FlowQuery {
  return filter as FlowQuery;
}

/** As control decides it for the kept ones. */
export function passes(filter: Filter, flow: FlowView): boolean {
  const { source, service, host, verdict, rule, outcome, port, text } = filter;
  return (
    (source === undefined || flow.source === source) &&
    (service === undefined || flow.service === service) &&
    (host === undefined || flow.sourceHost === host || flow.destinationHost === host) &&
    (verdict === undefined || flow.verdict === verdict) &&
    (rule === undefined || flow.rule === rule) &&
    (outcome === undefined || flow.outcome === outcome) &&
    (port === undefined || flow.port === Number(port)) &&
    (text === undefined || holds(flow, text.toLowerCase()))
  );
}

function holds(flow: FlowView, text: string): boolean {
  return (
    flow.source.toLowerCase().includes(text) ||
    flow.service.toLowerCase().includes(text) ||
    flow.sourceHost.toLowerCase().includes(text) ||
    flow.destinationHost.toLowerCase().includes(text) ||
    flow.instance.toLowerCase().includes(text) ||
    `${flow.port}/${flow.protocol}`.includes(text) ||
    flow.rule.toLowerCase().includes(text) ||
    flow.outcome.includes(text) ||
    flow.detail.toLowerCase().includes(text)
  );
}

function isPossible(field: FilterField, value: string): boolean {
  if (field === 'verdict') return value === 'allow' || value === 'deny';
  if (field === 'port') return /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535;
  if (field === 'outcome') return OUTCOMES.some((outcome) => outcome === value);
  return true;
}
