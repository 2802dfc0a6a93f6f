/** weft flows --follow: each flow as it ends, also across a restart of control. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { FlowRecord } from '@weft/proto';
import { adminService, flowFromWire, isServiceError, type pb } from '@weft/proto/wire';
import { type AdminOptions, adminAccess, listWithAdmin, type NetworkOptions } from './admin.ts';
import { CommandError } from './errors.ts';
import { paintErr, type Terminal } from './terminal.ts';

const RETRY_MS = 1_000;
/** Flows known again: what control told just before it was killed, and had not on disk, it tells again. */
const KNOWN = 10_000;

/** Returns when the signal aborts, or control ends the watch in order. Throws CommandError. */
export async function followFlows(
  asked: pb.Outgoing<pb.WatchFlowsRequest>,
  options: NetworkOptions,
  terminal: Terminal,
  signal: AbortSignal,
  tell: (record: FlowRecord) => void,
): Promise<void> {
  const known = new Set<string>();
  const warning = `${paintErr(terminal, 'yellow', 'warning')}: `;
  let resumeToken = '';
  let away: boolean = false;

  function heard({ flow, missed, gap, resumeToken: place }: pb.WatchFlowsResponse): void {
    if (away) terminal.err('control is back\n');
    away = false;
    resumeToken = place;
    if (gap) terminal.err(`${warning}some of what ended meanwhile may not be kept any more\n`);
    if (missed > 0) terminal.err(`${warning}${missed} flows are not shown: they came too fast\n`);
    if (!flow) return;
    const record = flowFromWire(flow);
    const key = [record.id, record.sourceHost, record.destinationHost, record.verdict].join(' ');
    if (known.has(key)) return;
    known.add(key);
    const [oldest] = known;
    if (known.size > KNOWN && oldest !== undefined) known.delete(oldest);
    tell(record);
  }

  while (!signal.aborted) {
    const request = resumeToken === '' ? asked : { ...asked, past: 0, resumeToken };
    try {
      await listWithAdmin(options, terminal, signal, async (admin) => {
        const stream = admin.stream(adminService.watchFlows, request);
        for await (const message of stream as AsyncIterable<pb.WatchFlowsResponse>) heard(message);
        return [];
      });
      return;
    } catch (error) {
      // Ctrl-C is how following ends.
      if (signal.aborted) return;
      if (resumeToken === '' || !isAway(error)) throw error;
      if (!away) terminal.err(`${warning}${waits(options, terminal)}\n`);
      away = true;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function waits(options: AdminOptions, { env }: Terminal): string {
  const { address } = adminAccess(options, env);
  return `control at ${address} does not answer; what ends meanwhile is shown once it is back`;
}

/** Not for good: it stops, is started again, or cannot be reached for a while. A stream that is cut ends as CANCELLED, too. */
function isAway(error: unknown): boolean {
  if (!(error instanceof CommandError)) return false;
  const { cause } = error;
  if (isServiceError(cause)) return cause.code === status.UNAVAILABLE || cause.code === status.CANCELLED;
  return error.code === 'control-unreachable' && (cause as { code?: unknown }).code === 'control-unreachable';
}
