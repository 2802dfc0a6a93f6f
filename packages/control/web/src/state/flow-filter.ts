/** Which flows are asked for: read from the address, sent to control, and asked of each live record here. */
import { FILTERED_FLOW_FIELDS, type FlowFilter, isOutcome, passesFilter } from '@weft/proto/model';
import type { FlowView } from '../../../src/dashboard/api.ts';

/** What a flow's own page is found by is no filter of a list. */
export type FilterField = Exclude<keyof FlowFilter, 'id'>;
export const FILTER_FIELDS: readonly FilterField[] = [
  ...FILTERED_FLOW_FIELDS.filter((field) => field !== 'id'),
  'host',
  'text',
];
export type Filter = Readonly<Partial<Record<FilterField, string>>>;

/** What is empty, or is no filter, is left out. */
export function filterOf(query: Readonly<Record<string, string | undefined>>): Filter {
  const filter: Partial<Record<FilterField, string>> = {};
  for (const field of FILTER_FIELDS) {
    const value = query[field]?.trim();
    if (value !== undefined && value !== '' && isPossible(field, value)) filter[field] = value;
  }
  return filter;
}

/** As control decides it for the kept ones. */
export function passes({ port, ...filter }: Filter, flow: FlowView): boolean {
  return passesFilter({ ...(filter as FlowFilter), ...(port === undefined ? {} : { port: Number(port) }) }, flow);
}

function isPossible(field: FilterField, value: string): boolean {
  if (field === 'verdict') return value === 'allow' || value === 'deny';
  if (field === 'port') return /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535;
  if (field === 'outcome') return isOutcome(value);
  return true;
}
