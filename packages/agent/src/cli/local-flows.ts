/** weft flows where the agent of this host is asked: those that it has recorded last, those that end now, and those that are open. */
import { setTimeout as sleep } from 'node:timers/promises';
import { compileFilter, type FlowRecord, type OpenFlowFilter, type OpenFlows } from '@weft/proto';
import type { ToldOpenFlow } from '@weft/proto/wire';
import { readLocalStatus } from '../observe/status-client.ts';
import { type AgentHere, askHere } from './agent-instead.ts';
import type { AskedFlows } from './flows-filter.ts';
import { paintErr, type Terminal } from './terminal.ts';

const POLL_MS = 1_000;

/** What it has recorded last, as far as it is asked for; oldest first. */
export function recordedFlows({ status }: Pick<AgentHere, 'status'>, asked: AskedFlows): readonly FlowRecord[] {
  const { fromMs = 0, toMs = Number.POSITIVE_INFINITY } = asked;
  const passes = compileFilter(asked.filter);
  return status.flows.recent.filter((record) => {
    const endedMs = record.startedMs + record.durationMs;
    return endedMs >= fromMs && endedMs < toMs && passes(record);
  });
}

/** Those that end from now on, until the signal aborts; across a restart of the agent, too. */
export async function followRecorded(
  { directory, status: first }: AgentHere,
  asked: AskedFlows,
  terminal: Terminal,
  signal: AbortSignal,
  tell: (record: FlowRecord) => void,
): Promise<void> {
  const warning = `${paintErr(terminal, 'yellow', 'warning')}: `;
  const keyOf = ({ id, verdict, outcome }: FlowRecord) => [id, verdict, outcome].join(' ');
  let known = new Set(first.flows.recent.map(keyOf));
  let away: boolean = false;
  for (;;) {
    await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const status = await readLocalStatus(directory).catch(() => undefined);
    if (status === undefined) {
      if (!away) terminal.err(`${warning}the agent does not answer; what it recorded meanwhile may not be shown\n`);
      away = true;
      continue;
    }
    if (away) terminal.err('the agent is back\n');
    away = false;
    const { recent } = status.flows;
    if (known.size > 0 && recent.length > 0 && !recent.some((record) => known.has(keyOf(record))))
      terminal.err(`${warning}some are not shown: they came too fast\n`);
    for (const record of recordedFlows({ status }, asked)) if (!known.has(keyOf(record))) tell(record);
    known = new Set(recent.map(keyOf));
  }
}

/** With the number of those that are left out. */
export async function openHere(
  here: AgentHere,
  filter: OpenFlowFilter,
  nowMs: number,
): Promise<{ readonly flows: readonly ToldOpenFlow[]; readonly omitted: number }> {
  const told = await askHere<OpenFlows>(here, { ask: 'open-flows', filter }, (answer) => 'omitted' in answer);
  const flows = told.flows.map(({ ageMs, ...flow }) => ({ ...flow, startedMs: nowMs - ageMs }));
  return { flows, omitted: told.omitted };
}
