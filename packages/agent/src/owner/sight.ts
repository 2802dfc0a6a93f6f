/** Which processes of its host an agent may look into, and so which services it can tell by them. */
import { readFileSync } from 'node:fs';
import type { ProcessMatch } from '../words/owner.ts';
import { unitName } from './fits.ts';
import { Users } from './users.ts';

/**
 * `all` processes; or those of its own user, and of all others of each socket the user alone (`own`), its systemd unit too (`units`), or its control group
 * too (`groups`).
 */
export type Sight = 'all' | 'groups' | 'units' | 'own';

/** Of capabilities(7), bits in CapEff: to list the files of another's process, and to see what they are. */
const DAC_OVERRIDE = 1n;
const DAC_READ_SEARCH = 2n;
const SYS_PTRACE = 19n;

/** Capabilities that it would need to look into all processes, and has not. `proc`: where the kernel tells of processes. */
export function missingHere(proc = '/proc'): readonly string[] {
  let status = '';
  try {
    status = readFileSync(`${proc}/self/status`, 'latin1');
  } catch {
    // It has none that it knows of.
  }
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n;
  const lists = has(DAC_READ_SEARCH) || has(DAC_OVERRIDE);
  return [...(has(SYS_PTRACE) ? [] : ['CAP_SYS_PTRACE']), ...(lists ? [] : ['CAP_DAC_READ_SEARCH'])];
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
  /** Its name, of several the first, or the number written out. */
  nameOf(uid: number): string;
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
  return { numberOf, nameOf: (uid) => users.nameOf(uid), self: process.getuid?.() };
}

/** By the name of the service. */
export function tellings(
  services: readonly Knowable[],
  sight: Sight,
  { numberOf, self }: Pick<UsersHere, 'numberOf' | 'self'>,
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
    const bySocket = ({ match: words }: typeof one) => isOfSocket(words, sight);
    const needsMore = others.some((other) => !bySocket(other) && (other.uid === undefined || other.uid === uid));
    // Of whom no user is named, one may descend from a program that is known by its target alone.
    const opens = match.user === undefined && match.unit === undefined;
    if (bySocket(one) && !needsMore && !opens) return 'told';
    return uid === undefined || uid === self ? 'own' : 'unseen';
  };
  return new Map(known.map((one) => [one.name, telling(one)]));
}

/** Whether all words are of what a socket tells. */
function isOfSocket(match: ProcessMatch | undefined, sight: Exclude<Sight, 'all'>): boolean {
  if (match === undefined || match.command !== undefined) return false;
  if (match.cgroup !== undefined && sight !== 'groups') return false;
  return match.unit === undefined || sight === 'groups' || sight === 'units';
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
