/** weft flows: what happened, and with --follow what happens. */

import { status } from '@grpc/grpc-js';
import { ADMIN_LIMITS, FLOW_COLUMNS, type FlowRecord, formatPortRange } from '@weft/proto';
import { adminService, flowFromWire, isServiceError, type pb } from '@weft/proto/wire';
import { CALL_DEADLINE_MS, listWithAdmin, type NetworkOptions } from './admin.ts';
import { UsageError, wrongValue } from './errors.ts';
import { type FlowsFilterOptions, filterToWire, readFlowsFilter } from './flows-filter.ts';
import { formatBytes, formatTime, orDash } from './format.ts';
import { writeJsonLine } from './json.ts';
import { type Cell, writeTable } from './table.ts';
import { paint, paintErr, printable, type Terminal } from './terminal.ts';

export interface FlowsOptions extends NetworkOptions, FlowsFilterOptions {
  readonly follow?: true;
  readonly limit: string;
}

export async function flows(options: FlowsOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > ADMIN_LIMITS.flows)
    wrongValue('--limit', `a number from 1 to ${ADMIN_LIMITS.flows}`, options.limit);
  if (options.follow !== undefined && options.until !== undefined) {
    throw new UsageError('--follow has no end; leave --until away, or --follow');
  }
  const asked = readFlowsFilter(options, terminal.now());
  const request = {
    network: options.network ?? '',
    follow: options.follow ?? false,
    limit,
    filter: filterToWire(asked),
  };
  const gathered = await listWithAdmin(options, terminal, signal, async (admin) => {
    const deadline = options.follow === undefined ? CALL_DEADLINE_MS : undefined;
    const stream = admin.stream(adminService.watchFlows, request, deadline);
    const gathered: FlowRecord[] = [];
    try {
      for await (const answer of stream as AsyncIterable<pb.WatchFlowsResponse>) {
        if (answer.missed > 0) {
          terminal.err(
            `${paintErr(terminal, 'yellow', 'warning')}: ${answer.missed} flows are not shown: they came too fast\n`,
          );
        }
        if (!answer.record) continue;
        const record = flowFromWire(answer.record);
        if (options.json !== undefined) writeJsonLine(terminal, record);
        else if (options.follow !== undefined) terminal.out(`${line(record, terminal)}\n`);
        else gathered.push(record);
      }
    } catch (error) {
      // Ctrl-C is how following ends.
      if (!signal.aborted && !(isServiceError(error) && error.code === status.CANCELLED)) throw error;
    }
    return gathered;
  });
  if (options.json === undefined && options.follow === undefined) writeFlows(gathered, terminal);
}

function writeFlows(records: readonly FlowRecord[], terminal: Terminal): void {
  const head = FLOW_COLUMNS.map(({ label }) => label.toUpperCase());
  const rows = records.map((record) =>
    FLOW_COLUMNS.map(({ name }) => CELLS[name]?.(record) ?? orDash(`${record[name]}`)),
  );
  writeTable(terminal, head, rows);
}

/** What is told in more than its own word. */
const CELLS: { readonly [Name in keyof FlowRecord]?: (record: FlowRecord) => Cell } = {
  startedMs: ({ startedMs }) => formatTime(startedMs),
  source: from,
  service: to,
  instance: (record) => orDash(instance(record)),
  verdict,
  bytesSent: ({ bytesSent }) => formatBytes(bytesSent),
  bytesReceived: ({ bytesReceived }) => formatBytes(bytesReceived),
};

function line(record: FlowRecord, terminal: Terminal): string {
  const { text, color } = verdict(record);
  const bytes = `${formatBytes(record.bytesSent)} sent, ${formatBytes(record.bytesReceived)} received`;
  const detail = record.detail === '' ? '' : `  ${record.detail}`;
  const place = instance(record) === '' ? '' : ` (${instance(record)})`;
  const after = printable(
    `${record.rule} rev ${record.revision}  ${from(record)} -> ${to(record)}${place}  ${record.outcome}  ${bytes}${detail}`,
  );
  return `${formatTime(record.startedMs)}  ${paint(terminal, color, text)}  ${after}`;
}

function from({ source, sourceHost }: FlowRecord): string {
  return source === `host:${sourceHost}` || sourceHost === '' ? source : `${source}@${sourceHost}`;
}

function to({ service, port, protocol }: FlowRecord): string {
  return `${service}:${formatPortRange({ protocol, first: port, last: port })}`;
}

function instance(record: FlowRecord): string {
  if (record.instance === '') return '';
  return record.destinationHost === '' ? record.instance : `${record.instance}@${record.destinationHost}`;
}

function verdict(record: FlowRecord): { text: string; color: 'green' | 'red' } {
  return record.verdict === 'allow' ? { text: 'allow', color: 'green' } : { text: 'deny', color: 'red' };
}
