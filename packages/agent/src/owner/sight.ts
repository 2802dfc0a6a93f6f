/** Which processes of its host an agent may look into, and so which services it can tell by them. */
import { readFileSync } from 'node:fs';
import type { ProcessMatch } from '../words/owner.ts';
import { unitName } from './fits.ts';
import { knowsAllUsers, Users } from './users.ts';

/** `all` processes; or `own`: those of its own user, and of all others the user of each socket alone. */
export type Sight = 'all' | 'own';

/** Of capabilities(7), bits in CapEff: to list the files of another's process, and to see what they are. */
const DAC_OVERRIDE = 1n;
const DAC_READ_SEARCH = 2n;
const SYS_PTRACE = 19n;

/** `proc`: where the kernel tells of processes. In a user namespace of some users alone, capabilities reach no further than these. */
export function sightHere(proc = '/proc'): Sight {
  let status: string;
  try {
    status = readFileSync(`${proc}/self/status`, 'latin1');
  } catch {
    return 'own';
  }
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n;
  const reads = has(SYS_PTRACE) && (has(DAC_READ_SEARCH) || has(DAC_OVERRIDE));
  return reads && knowsAllUsers(proc) ? 'all' : 'own';
}

/** A service that runs here. */
export interface Knowable {
  readonly name: string;
  /** Whether a program listens for it. */
  readonly listens: boolean;
  readonly match?: ProcessMatch | undefined;
}

/**
 * What becomes of its processes: `told` from others, whoever's they are; `own`: those alone that are of the agent's own user, if any is;
 * `unseen`: none; `alike`: none, for all of them fit another service as well; `no-user`: none, for its `match` names a user that is not there.
 */
export type Telling = 'told' | 'own' | 'unseen' | 'alike' | 'no-user';

/** Who users are, and which of them the agent is. */
export interface UsersHere {
  numberOf(user: string): number | undefined;
  readonly self: number | undefined;
}

const users = new Users();

/** By /etc/passwd as it is now. */
export function usersHere(): UsersHere {
  const numberOf = (user: string): number | undefined => {
    // Only where a match names one: most hosts have none.
    users.refresh();
    return users.numberOf(user);
  };
  return { numberOf, self: process.getuid?.() };
}

/** By the name of the service. */
export function tellings(
  services: readonly Knowable[],
  sight: Sight,
  { numberOf, self }: UsersHere,
): ReadonlyMap<string, Telling> {
  const known = services.map((one) => ({ ...one, uid: one.match?.user && numberOf(one.match.user) }));
  const fitting = known.filter(({ match, uid }) => match?.user === undefined || uid !== undefined);
  const telling = (one: (typeof known)[number]): Telling => {
    const { match, uid, listens } = one;
    if (match === undefined) return !listens ? 'unseen' : sight === 'all' ? 'told' : 'own';
    if (!fitting.includes(one)) return 'no-user';
    const others = fitting.filter((other) => other !== one && other.match !== undefined);
    if (others.some((other) => isWithin(one, other))) return 'alike';
    if (sight === 'all') return 'told';
    const needsMore = others.some(
      (other) => !isUserAlone(other.match) && (other.uid === undefined || other.uid === uid),
    );
    if (isUserAlone(match) && !needsMore) return 'told';
    return uid === undefined || uid === self ? 'own' : 'unseen';
  };
  return new Map(known.map((one) => [one.name, telling(one)]));
}

function isUserAlone(match: ProcessMatch | undefined): boolean {
  return match?.user !== undefined && Object.keys(match).length === 1;
}

type Fitting = Pick<Knowable, 'match'> & { readonly uid: unknown };

/** Whether whoever fits the one fits the other. */
function isWithin(one: Fitting, other: Fitting): boolean {
  const { user, unit, ...rest } = other.match ?? {};
  if (user !== undefined && one.uid !== other.uid) return false;
  if (unit !== undefined && (one.match?.unit === undefined || unitName(one.match.unit) !== unitName(unit)))
    return false;
  return (
    (rest.cgroup ?? one.match?.cgroup) === one.match?.cgroup &&
    (rest.command ?? one.match?.command) === one.match?.command
  );
}
