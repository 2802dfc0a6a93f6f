/** weft flows --open: the flows that are open now, as their hosts tell. */
import { defined, listed, type OpenFlowFilter, type OpenFlowsState } from '@weft/proto';
import {
  adminService,
  callerToWire,
  openFlowFromWire,
  openFlowsStateCodec,
  type pb,
  type ToldOpenFlow,
} from '@weft/proto/wire';
import { formatDuration } from '../config/duration.ts';
import { everyEntry, listWithAdmin } from './admin.ts';
import { agentInstead } from './agent-instead.ts';
import { UsageError } from './errors.ts';
import { type FlowsOptions, readFlowsFilter } from './flows-filter.ts';
import { flowFrom, flowInstance, flowTo, formatBytes, formatTime, orDash } from './format.ts';
import { writeJsonLine } from './json.ts';
import { openHere } from './local-flows.ts';
import { type Column, drop, short, writeTable } from './table.ts';
import { paintErr, printable, type Terminal } from './terminal.ts';

interface OpenColumn {
  readonly head: Column;
  readonly cell: (flow: ToldOpenFlow) => string;
  /** Left out where it is empty for all. */
  readonly ofSome?: true;
}

const COLUMNS: readonly OpenColumn[] = [
  { head: 'OPENED', cell: ({ startedMs }) => formatTime(startedMs) },
  { head: short('FROM'), cell: flowFrom },
  { head: short('TO'), cell: flowTo },
  { head: short('INSTANCE', 1), cell: flowInstance },
  { head: drop('USER', 0), cell: ({ user }) => user, ofSome: true },
  { head: drop('UNIT', 0), cell: ({ unit }) => unit, ofSome: true },
  { head: drop('PROGRAM', 0), cell: ({ program }) => program, ofSome: true },
  { head: drop('SENT', 3), cell: ({ bytesSent }) => formatBytes(bytesSent) },
  { head: drop('RECEIVED', 2), cell: ({ bytesReceived }) => formatBytes(bytesReceived) },
  { head: drop('SILENT', 4), cell: ({ idleMs }) => formatDuration(idleMs) },
  { head: 'ID', cell: ({ id }) => id },
];

/** Why a host told nothing, in words. */
const UNTOLD: Readonly<Record<Exclude<OpenFlowsState, 'told'>, string>> = {
  'not-connected': 'not connected',
  'no-answer': 'did not answer',
  older: 'of an older version, which cannot tell',
};
/** Hosts named in one line. */
const NAMED = 10;

export async function openFlows(options: FlowsOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const filter = readOpenFilter(options, terminal.now());
  const here = await agentInstead(options, terminal, 'the open flows with an end on this host');
  if (here !== undefined) {
    const { flows, omitted } = await openHere(here, filter, terminal.now());
    write(flows, options, terminal);
    warnOmitted(omitted, terminal);
    return;
  }
  const { service = '', host = '', port = 0, source = '' } = filter;
  const asked = { network: options.network ?? '', filter: { caller: callerToWire(source), service, host, port } };
  const hosts = await listWithAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listOpenFlows, { ...asked, ...page }),
      (page) => page.hosts,
    ),
  );
  // One that was handed over between two pages is told by both its ends.
  const flows = new Map(hosts.flatMap((told) => told.flows.map(openFlowFromWire)).map((flow) => [flow.id, flow]));
  write([...flows.values()], options, terminal);
  warn(hosts, terminal);
}

/** Oldest first. */
function write(flows: readonly ToldOpenFlow[], options: FlowsOptions, terminal: Terminal): void {
  const listed = flows.toSorted((one, other) => one.startedMs - other.startedMs);
  if (options.json === undefined) writeFlows(listed, options, terminal);
  else for (const flow of listed) writeJsonLine(terminal, 'flows', flow);
}

function writeFlows(flows: readonly ToldOpenFlow[], options: FlowsOptions, terminal: Terminal): void {
  const columns = COLUMNS.filter(({ ofSome, cell }) => ofSome === undefined || flows.some((flow) => cell(flow) !== ''));
  const rows = flows.map((flow) => columns.map(({ cell }) => orDash(cell(flow))));
  writeTable(
    terminal,
    columns.map(({ head }) => head),
    rows,
    options,
  );
}

/** What is not shown, and why. */
function warn(hosts: readonly pb.HostOpenFlows[], terminal: Terminal): void {
  const warning = `${paintErr(terminal, 'yellow', 'warning')}: `;
  warnOmitted(
    hosts.reduce((sum, host) => sum + host.omitted, 0),
    terminal,
  );
  for (const [state, why] of Object.entries(UNTOLD)) {
    const number = openFlowsStateCodec.toWire(state as OpenFlowsState);
    const names = hosts.filter((host) => host.state === number).map(({ host }) => host);
    if (names.length === 0) continue;
    const there = names.length === 1 ? 'there' : 'at those';
    const named = `${listed(names, NAMED)}: ${why}`;
    terminal.err(`${warning}${printable(named)}; of flows ${there}, only what other hosts know is shown\n`);
  }
}

function warnOmitted(omitted: number, terminal: Terminal): void {
  if (omitted === 0) return;
  const warning = `${paintErr(terminal, 'yellow', 'warning')}: `;
  terminal.err(`${warning}${omitted} older flows are not shown; name a service or host to see them\n`);
}

/** Throws UsageError. */
function readOpenFilter(options: FlowsOptions, nowMs: number): OpenFlowFilter {
  const { filter, fromMs, toMs } = readFlowsFilter(options, nowMs);
  const { source, service, host, port, ...rest } = filter;
  const other =
    options.follow !== undefined || options.limit !== undefined || fromMs !== undefined || toMs !== undefined;
  if (other || Object.keys(rest).length > 0) {
    throw new UsageError(
      '--open takes --from, --to and --host; what else there is to ask is known once a flow has ended',
    );
  }
  return defined({ source, service, host, port });
}
