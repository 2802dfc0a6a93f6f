/** What is recorded of a flow when it ends: one row a field, from which follow how it is kept, filtered, searched and shown. */
import type { Action, ReportedProtocol } from './mesh.ts';
import type { FlowOutcome } from './outcome.ts';

/** One flow from open to close; see FlowRecord in agent.proto for each field. */
export interface FlowRecord {
  readonly id: string;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly source: string;
  readonly sourceHost: string;
  readonly service: string;
  readonly instance: string;
  readonly destinationHost: string;
  readonly port: number;
  readonly protocol: ReportedProtocol;
  readonly verdict: Action;
  readonly rule: string;
  readonly revision: number;
  readonly outcome: FlowOutcome;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Where the recording agent's host stands; empty when its file does not say. */
  readonly zone: string;
  /** Who called, as far as it was looked up: the process's user, its systemd unit and its program's file; else empty. */
  readonly user: string;
  readonly unit: string;
  readonly program: string;
  readonly detail: string;
}

/** Of 64 bits, as the agent that opened the flow made it up. */
export const FLOW_ID = /^[0-9a-f]{16}$/;

interface FlowField {
  /** `word`: one of a few that the model knows. */
  readonly sort: 'text' | 'word' | 'number';
  /** The same in many records, which so share it where they are kept: names, and what was decided. */
  readonly shared: boolean;
  /** Whether a filter may ask for exactly this. */
  readonly filtered: boolean;
  /** Whether a filter's text is looked for in it. */
  readonly searched: boolean;
  /** What heads it where flows are listed; none where it is told with another, as a port is with its service. */
  readonly label?: string;
}

const FIELDS = {
  id: { sort: 'text', shared: false, filtered: true, searched: false },
  startedMs: { sort: 'number', shared: false, filtered: false, searched: false, label: 'Time' },
  durationMs: { sort: 'number', shared: false, filtered: false, searched: false },
  source: { sort: 'text', shared: true, filtered: true, searched: true, label: 'From' },
  sourceHost: { sort: 'text', shared: true, filtered: false, searched: true },
  service: { sort: 'text', shared: true, filtered: true, searched: true, label: 'To' },
  instance: { sort: 'text', shared: true, filtered: false, searched: true, label: 'Instance' },
  destinationHost: { sort: 'text', shared: true, filtered: false, searched: true },
  // Searched as people write it, with its protocol.
  port: { sort: 'number', shared: true, filtered: true, searched: false },
  protocol: { sort: 'word', shared: true, filtered: false, searched: false },
  verdict: { sort: 'word', shared: true, filtered: true, searched: false, label: 'Verdict' },
  rule: { sort: 'text', shared: true, filtered: true, searched: true, label: 'Rule' },
  revision: { sort: 'number', shared: false, filtered: false, searched: false, label: 'Rev' },
  outcome: { sort: 'word', shared: true, filtered: true, searched: true, label: 'Outcome' },
  bytesSent: { sort: 'number', shared: false, filtered: false, searched: false, label: 'Sent' },
  bytesReceived: { sort: 'number', shared: false, filtered: false, searched: false, label: 'Received' },
  zone: { sort: 'text', shared: true, filtered: true, searched: true, label: 'Zone' },
  user: { sort: 'text', shared: true, filtered: false, searched: true, label: 'User' },
  unit: { sort: 'text', shared: true, filtered: false, searched: true, label: 'Unit' },
  program: { sort: 'text', shared: true, filtered: false, searched: true, label: 'Program' },
  // Not shared: some hold a client's address, and no two are the same.
  detail: { sort: 'text', shared: false, filtered: false, searched: true, label: 'Detail' },
} as const satisfies Record<keyof FlowRecord, FlowField>;

type Fields = typeof FIELDS;
type FieldsWith<Row> = { [Name in keyof Fields]: Fields[Name] extends Row ? Name : never }[keyof Fields];

export type SharedFlowField = FieldsWith<{ readonly shared: true }>;
export type FilteredFlowField = FieldsWith<{ readonly filtered: true }>;
export type SearchedFlowField = FieldsWith<{ readonly searched: true }>;
export type FlowText = FieldsWith<{ readonly sort: 'text' }>;

export const FLOW_FIELDS: Readonly<Record<keyof FlowRecord, FlowField>> = FIELDS;

const NAMES = Object.keys(FIELDS) as (keyof FlowRecord)[];

/** Each in the order of the table. */
export const SHARED_FLOW_FIELDS = NAMES.filter((name) => FLOW_FIELDS[name].shared) as readonly SharedFlowField[];
export const FILTERED_FLOW_FIELDS = NAMES.filter((name) => FLOW_FIELDS[name].filtered) as readonly FilteredFlowField[];
/** The filters that take a text and no more: an id has a form of its own. */
export const FLOW_TEXT_FILTERS = FILTERED_FLOW_FIELDS.filter(
  (name) => FLOW_FIELDS[name].sort === 'text' && name !== 'id',
) as readonly Exclude<FilteredFlowField & FlowText, 'id'>[];
/** Of those, the ones by a name of which nobody but the record knows more: callers and services are asked for in more ways. */
export const FLOW_NAME_FILTERS = FLOW_TEXT_FILTERS.filter(
  (name): name is Exclude<typeof name, 'source' | 'service'> => name !== 'source' && name !== 'service',
);
export const FLOW_TEXTS = NAMES.filter((name) => FLOW_FIELDS[name].sort === 'text') as readonly FlowText[];
export const SEARCHED_FLOW_FIELDS = NAMES.filter((name) => FLOW_FIELDS[name].searched) as readonly SearchedFlowField[];
/** As a listing heads them. */
export const FLOW_COLUMNS = NAMES.flatMap((name) => {
  const { label } = FLOW_FIELDS[name];
  return label === undefined ? [] : [{ name, label }];
});
