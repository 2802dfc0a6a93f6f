/** What flows must be; see FlowFilter in flow.proto for each field. */
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
  return compileFilter(filter)(record);
}

/** The same, for who asks it of many: what the filter does not ask for costs nothing then. */
export function compileFilter(filter: FlowFilter): (record: Filtered) => boolean {
  const asked = FILTERED_FLOW_FIELDS.filter((name) => filter[name] !== undefined);
  const { host } = filter;
  const text = filter.text?.toLowerCase();
  return (record) => {
    for (const name of asked) if (record[name] !== filter[name]) return false;
    return (
      (host === undefined || record.sourceHost === host || record.destinationHost === host) &&
      (text === undefined || holds(record, text))
    );
  };
}

function holds(record: Filtered, text: string): boolean {
  const { port, protocol } = record;
  if (`${port}/${protocol}`.includes(text)) return true;
  for (const name of SEARCHED_FLOW_FIELDS) {
    if (record[name].toLowerCase().includes(text)) return true;
  }
  return false;
}
