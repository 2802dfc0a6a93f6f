/** What flows must be; see FlowFilter in admin.proto for each field. */
import type { FlowRecord } from './flow.ts';
import type { Action } from './mesh.ts';
import type { FlowOutcome } from './outcome.ts';

/** What is left out does not matter. */
export interface FlowFilter {
  readonly source?: string;
  readonly service?: string;
  /** At either end. */
  readonly host?: string;
  readonly verdict?: Action;
  readonly rule?: string;
  readonly outcome?: FlowOutcome;
  readonly port?: number;
  /** In any name, rule, outcome or detail, without case. */
  readonly text?: string;
  readonly id?: string;
}

/** Whether a record is what the filter asks for. Times are not the record's own, and are left to who keeps it. */
export function passesFilter(filter: FlowFilter, record: Omit<FlowRecord, 'id'> & { readonly id?: string }): boolean {
  const { source, service, host, verdict, rule, outcome, port, text, id } = filter;
  return (
    (source === undefined || record.source === source) &&
    (service === undefined || record.service === service) &&
    (host === undefined || record.sourceHost === host || record.destinationHost === host) &&
    (verdict === undefined || record.verdict === verdict) &&
    (rule === undefined || record.rule === rule) &&
    (outcome === undefined || record.outcome === outcome) &&
    (port === undefined || record.port === port) &&
    (id === undefined || record.id === id) &&
    (text === undefined || holds(record, text.toLowerCase()))
  );
}

function holds(record: Omit<FlowRecord, 'id'>, text: string): boolean {
  const { source, sourceHost, service, instance, destinationHost, port, protocol, rule, outcome, detail } = record;
  const words = [source, sourceHost, service, instance, destinationHost, `${port}/${protocol}`, rule, outcome, detail];
  return words.some((word) => word.toLowerCase().includes(text));
}
