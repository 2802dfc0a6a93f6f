/** Which processes of its host an agent may look into, and so which services it can tell by them. */
import { readFileSync } from 'node:fs';
import type { ProcessMatch } from '../words/owner.ts';

/** `all` processes; or `own`: those of its own user, and of all others the user of each socket alone. */
export type Sight = 'all' | 'own';

/** Of capabilities(7), bits in CapEff: to list the files of another's process, and to see what they are. */
const DAC_OVERRIDE = 1n;
const DAC_READ_SEARCH = 2n;
const SYS_PTRACE = 19n;

/** `proc`: where the kernel tells of processes. */
export function sightHere(proc = '/proc'): Sight {
  let status: string;
  try {
    status = readFileSync(`${proc}/self/status`, 'latin1');
  } catch {
    return 'own';
  }
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n;
  return has(SYS_PTRACE) && (has(DAC_READ_SEARCH) || has(DAC_OVERRIDE)) ? 'all' : 'own';
}

/** A service that runs here. */
export interface Knowable {
  readonly name: string;
  /** Whether a program listens for it. */
  readonly listens: boolean;
  readonly match?: ProcessMatch | undefined;
}

/** Names of those whose processes are told from others, whoever's they are. */
export function toldApart(services: readonly Knowable[], sight: Sight): ReadonlySet<string> {
  const told = services.filter((one) => {
    if (sight === 'all') return one.match !== undefined || one.listens;
    return isUserAlone(one.match) && services.every((other) => other === one || !needsMore(other.match, one.match));
  });
  return new Set(told.map(({ name }) => name));
}

function isUserAlone(match: ProcessMatch | undefined): boolean {
  return match?.user !== undefined && Object.keys(match).length === 1;
}

/** Whether one of the user might fit this too, by what more it asks for. */
function needsMore(match: ProcessMatch | undefined, of: ProcessMatch | undefined): boolean {
  return match !== undefined && !isUserAlone(match) && (match.user === undefined || match.user === of?.user);
}
