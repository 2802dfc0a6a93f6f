/** Which listeners are listened on where a mesh has more of them than this agent has files for. */
import { listed, type Problem } from '@weft/proto';
import type { ListenerSpec } from './listener-spec.ts';

/** Services that the problem names. */
const NAMED = 8;

export interface ListenerShare {
  readonly listeners: ReadonlyMap<string, ListenerSpec>;
  /** Such as `api (first 320 of 1024)`, of those that do not get all, the largest first. */
  readonly short: readonly string[];
}

/**
 * Max-min fair by service, declared ports first, and what they leave to those that programs opened: each service gets an equal part, what it
 * needs less than that goes to the others, and of those that need more the first ports are listened on. So one service of many ports does not
 * silence those of few, and nothing that a program opens silences what an operator declared.
 */
export function shareListeners(wanted: ReadonlyMap<string, ListenerSpec>, most: number): ListenerShare {
  if (wanted.size <= most) return { listeners: wanted, short: [] };
  const listeners = new Map<string, ListenerSpec>();
  const short: string[] = [];
  for (const opened of [undefined, true] as const) {
    const ofKind = [...wanted].filter(([, spec]) => spec.opened === opened);
    share(listeners, short, ofKind, most);
  }
  return { listeners, short };
}

function share(
  listeners: Map<string, ListenerSpec>,
  short: string[],
  wanted: readonly (readonly [string, ListenerSpec])[],
  most: number,
): void {
  const byService = Map.groupBy(wanted, ([, { service }]) => service);
  let left = byService.size;
  for (const [service, specs] of [...byService].sort(([, few], [, many]) => few.length - many.length)) {
    const part = Math.min(specs.length, Math.floor((most - listeners.size) / left--));
    for (const [key, spec] of specs.slice(0, part)) listeners.set(key, spec);
    const opened = specs[0]?.[1].opened === true ? ' that programs opened' : '';
    if (part < specs.length) short.unshift(`${service} (first ${part} of ${specs.length}${opened})`);
  }
}

/** Undefined when all are listened on. `limit`: files that this agent may have open. */
export function shareProblem({ listeners, short }: ListenerShare, wanted: number, limit: number): Problem | undefined {
  if (short.length === 0) return undefined;
  return {
    ...SHARE_PROBLEM,
    message:
      `the network's services have ${wanted} places to listen on, and an agent that may have ${limit} files open takes ` +
      `${listeners.size} of them; calls to the other ports of ${listed(short, NAMED)} are refused on this host; ` +
      'raise the limit (ulimit -n, or LimitNOFILE= in the unit) and restart the agent, or declare fewer ports',
  };
}

export const SHARE_PROBLEM = { code: 'too-many-files', subject: 'listeners' };
