/** weft flows: what happened, and with --follow what happens. */

import { ADMIN_LIMITS, FLOW_COLUMNS, type FlowRecord } from '@weft/proto';
import { adminService, flowFromWire, type pb } from '@weft/proto/wire';
import { type Admin, everyEntry, listWithAdmin } from './admin.ts';
import { agentInstead } from './agent-instead.ts';
import { UsageError, wrongValue } from './errors.ts';
import { type FlowsOptions, filterToWire, readFlowsFilter } from './flows-filter.ts';
import { followFlows } from './follow-flows.ts';
import { flowFrom, flowInstance, flowTo, formatBytes, formatTime, orDash } from './format.ts';
import { writeJsonLine } from './json.ts';
import { followRecorded, recordedFlows } from './local-flows.ts';
import { openFlows } from './open-flows.ts';
import { type Cell, type Column, drop, short, writeTable } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';

const DEFAULT_LIMIT = 100;

export async function flows(options: FlowsOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (options.open !== undefined) {
    await openFlows(options, terminal, signal);
    return;
  }
  const limit = Number(options.limit ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > ADMIN_LIMITS.flows)
    wrongValue('--limit', `a number from 1 to ${ADMIN_LIMITS.flows}`, options.limit ?? '');
  if (options.follow !== undefined && options.until !== undefined) {
    throw new UsageError('--follow has no end; leave --until away, or --follow');
  }
  const network = options.network ?? '';
  const asked = readFlowsFilter(options, terminal.now());
  const told = (record: FlowRecord) => {
    if (options.json !== undefined) writeJsonLine(terminal, 'flows', record);
    else terminal.out(`${line(record, terminal)}\n`);
  };
  const here = await agentInstead(
    options,
    terminal,
    'the last flows that came to this host, and those of its own that got nowhere',
  );
  if (here !== undefined) {
    const past = recordedFlows(here, asked).slice(-limit);
    if (options.follow === undefined) writeAll(past, options, terminal);
    else {
      past.forEach(told);
      await followRecorded(here, asked, terminal, signal, told);
    }
    return;
  }
  const filter = filterToWire(asked);
  if (options.follow !== undefined) {
    await followFlows({ network, filter, past: limit }, options, terminal, signal, told);
    return;
  }
  const records = await listWithAdmin(options, terminal, signal, (admin) => newest(admin, { network, filter }, limit));
  writeAll(records, options, terminal);
}

function writeAll(records: readonly FlowRecord[], options: FlowsOptions, terminal: Terminal): void {
  if (options.json === undefined) writeFlows(records, options, terminal);
  else for (const record of records) writeJsonLine(terminal, 'flows', record);
}

/** Oldest first, as they are read. */
async function newest(admin: Admin, asked: pb.Outgoing<pb.ListFlowsRequest>, limit: number): Promise<FlowRecord[]> {
  const records = await everyEntry(
    (page) => admin.call(adminService.listFlows, { ...asked, ...page }),
    ({ flows }) => flows.map(flowFromWire),
    limit,
  );
  return records.reverse();
}

function writeFlows(records: readonly FlowRecord[], options: FlowsOptions, terminal: Terminal): void {
  const columns = FLOW_COLUMNS.filter(
    ({ name }) => !OF_SOME.has(name) || records.some((record) => record[name] !== ''),
  );
  const head = columns.map(({ name, label }) => (NARROWER[name] ?? String)(label.toUpperCase()));
  const rows = records.map((record) => columns.map(({ name }) => CELLS[name]?.(record) ?? orDash(`${record[name]}`)));
  writeTable(terminal, head, rows, options);
}

/** Told of callers that were looked up alone. */
const OF_SOME: ReadonlySet<keyof FlowRecord> = new Set(['user', 'unit', 'program']);

/** Where there is no room: what decided goes last, for it is why people look. */
const NARROWER: { readonly [Name in keyof FlowRecord]?: (title: string) => Column } = {
  source: (title) => short(title),
  service: (title) => short(title),
  zone: (title) => drop(title, 1),
  unit: (title) => drop(title, 0),
  program: (title) => drop(title, 0),
  user: (title) => drop(title, 0),
  revision: (title) => drop(title, 2),
  bytesReceived: (title) => drop(title, 3),
  bytesSent: (title) => drop(title, 4),
  instance: (title) => short(title, 5),
  detail: (title) => short(title, 6),
  verdict: (title) => drop(title, 7),
  rule: (title) => short(title, 8),
};

/** What is told in more than its own word. */
const CELLS: { readonly [Name in keyof FlowRecord]?: (record: FlowRecord) => Cell } = {
  startedMs: ({ startedMs }) => formatTime(startedMs),
  source: flowFrom,
  service: flowTo,
  instance: (record) => orDash(flowInstance(record)),
  verdict,
  bytesSent: ({ bytesSent }) => formatBytes(bytesSent),
  bytesReceived: ({ bytesReceived }) => formatBytes(bytesReceived),
};

function line(record: FlowRecord, terminal: Terminal): string {
  const { text, color } = verdict(record);
  const bytes = `${formatBytes(record.bytesSent)} sent, ${formatBytes(record.bytesReceived)} received`;
  const detail = record.detail === '' ? '' : `  ${record.detail}`;
  const place = flowInstance(record) === '' ? '' : ` (${flowInstance(record)})`;
  const after = printable(
    `${record.rule} rev ${record.revision}  ${flowFrom(record)} -> ${flowTo(record)}${place}  ${record.outcome}  ${bytes}${detail}`,
  );
  return `${formatTime(record.startedMs)}  ${paint(terminal, color, text)}  ${after}`;
}

function verdict(record: FlowRecord): { text: string; color: 'green' | 'red' } {
  return record.verdict === 'allow' ? { text: 'allow', color: 'green' } : { text: 'deny', color: 'red' };
}
