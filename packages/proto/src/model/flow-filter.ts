/** What flows must be; see FlowFilter in admin.proto for each field. */
import { FILTERED_FLOW_FIELDS, type FilteredFlowField, type FlowRecord, SEARCHED_FLOW_FIELDS } from './flow.ts';

/** What is left out does not matter. */
export interface FlowFilter extends Partial<Pick<FlowRecord, FilteredFlowField>> {
  /** At either end. */
  readonly host?: string;
  /** In any field that is searched, or in the port as PORT/PROTOCOL; without case. */
  readonly text?: string;
}

/** A record, or what is known of it. */
type Filtered = Omit<FlowRecord, 'id'> & { readonly id?: string };

/** Whether a record is what the filter asks for. Times are not the record's own, and are left to who keeps it. */
export function passesFilter(filter: FlowFilter, record: Filtered): boolean {
  for (const name of FILTERED_FLOW_FIELDS) {
    const wanted = filter[name];
    if (wanted !== undefined && record[name] !== wanted) return false;
  }
  const { host, text } = filter;
  return (
    (host === undefined || record.sourceHost === host || record.destinationHost === host) &&
    (text === undefined || holds(record, text.toLowerCase()))
  );
}

function holds(record: Filtered, text: string): boolean {
  const { port, protocol } = record;
  if (`${port}/${protocol}`.includes(text)) return true;
  return SEARCHED_FLOW_FIELDS.some((name) => String(record[name]).toLowerCase().includes(text));
}
