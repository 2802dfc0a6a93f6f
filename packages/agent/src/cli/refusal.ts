/** Why a call came to nothing, as the agent of this host recorded it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DestinationName, type FlowRecord, formatPortRange, listenerName, OUTCOMES } from '@weft/proto';
import { CommandError } from './errors.ts';
import { type LocalOptions, localStatus } from './local-services.ts';
import type { Terminal } from './terminal.ts';

/** A thread hands its records over a batch at a time. */
const LOOKS = 4;
const LOOK_EVERY_MS = 250;

/**
 * Undefined where the agent has no word on it, as when the destination recorded it. `sinceMs`: when the call was made. A record does not
 * say which program of the host called, so it may be of another's call since then, whom the same befell.
 */
export async function whyRefused(
  called: DestinationName,
  sinceMs: number,
  options: LocalOptions,
  terminal: Terminal,
): Promise<CommandError | undefined> {
  for (let look = 1; ; look++) {
    const { flows, problems } = await localStatus(options, terminal);
    const record = flows.recent.findLast((flow) => isOf(flow, called) && flow.startedMs >= sinceMs);
    if (record !== undefined) return told(called, record);
    const problem = problems.find(({ subject }) => subject === listenerName({ ...called, ordinal: undefined }));
    if (problem !== undefined) return new CommandError('not-carried', `${nameOf(called)}: ${problem.message}`);
    if (look === LOOKS) return undefined;
    await sleep(LOOK_EVERY_MS);
  }
}

/** Undefined for one that the service itself ended. */
function told(called: DestinationName, record: FlowRecord): CommandError | undefined {
  const { verdict, rule, revision, source, outcome, detail } = record;
  const name = nameOf(called);
  if (verdict === 'deny') {
    const words = `one of this host's calls to ${name} was denied by ${rule} at revision ${revision}: ${source} may not call it`;
    return new CommandError('denied', words);
  }
  if (!OUTCOMES[outcome].fault) return undefined;
  const more = detail === '' ? '' : `: ${detail}`;
  return new CommandError(
    'not-carried',
    `one of this host's calls to ${name}, by ${source}, came to nothing, ${outcome}${more}`,
  );
}

function isOf(flow: FlowRecord, { service, port, protocol }: DestinationName): boolean {
  return flow.service === service && flow.port === port && flow.protocol === protocol;
}

/** `redis:6379`. */
export function nameOf({ service, port, protocol }: DestinationName): string {
  return `${service}:${formatPortRange({ protocol, first: port, last: port })}`;
}
