/** Where a program of this host is called in vain, or is not called: in words, and as problems that stand while it is so. */
import {
  entryOf,
  formatHostPort,
  formatPortRange,
  PLACE_PROBLEM,
  type PortRange,
  type Problem,
  type Protocol,
  portsName,
  TARGET_PROBLEM,
} from '@weft/proto';
import { asWritten } from '../owner/users.ts';
import { type Problems, passing } from '../words/problems.ts';
import type { TargetAddress } from './addresses.ts';

/** One declared port without a program, or with another's. */
export interface WrongTarget {
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** The address that was tried first, which is the one that is meant; or the first where `other` listens. */
  readonly target: TargetAddress;
  /** What came of it. */
  readonly cause: string;
  /** User of the program that listens there, which is not called. */
  readonly other?: string;
  /** Where a program listens instead; empty when none is seen. */
  readonly instead: string;
}

export type Place = Pick<WrongTarget, 'service' | 'port' | 'protocol' | 'target'>;

export const REFUSED = 'connection refused';

/** Why a target is not called. */
export function anothers(user: string): string {
  return `a program of user ${user} listens there, who is another than match in the agent file names`;
}

/** Such as `redis 6379 → 127.0.0.1:6380: connection refused`. */
export function sayTarget({ service, port, protocol, target }: Place, cause: string): string {
  return sayTargets(service, { protocol, first: port, last: port }, target, cause);
}

/** Tells of those that stand, neighbours that fail alike as one. */
export class WrongTargets {
  readonly #problems: Problems;
  #standing: ReadonlyMap<string, Problem> = new Map();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** All there are now, in the order of their ports, and those with another's program by themselves. */
  tell(targets: readonly WrongTarget[]): void {
    const standing = new Map<string, Problem>();
    for (const [first, count] of runs(targets)) {
      const problem = problemOf(first, count);
      standing.set(`${problem.code} ${problem.subject}`, problem);
      this.#problems.raise(problem);
    }
    for (const [key, { code, subject }] of this.#standing) if (!standing.has(key)) this.#problems.clear(code, subject);
    this.#standing = standing;
  }
}

function problemOf(first: WrongTarget, count: number): Problem {
  const { service, protocol, port, target, cause, other, instead } = first;
  const range = { protocol, first: port, last: port + count - 1 };
  const subject = portsName(service, range);
  const said = sayTargets(service, range, target, cause);
  if (other !== undefined) {
    const rightBy = `where it is right, let the agent file say match: { user: ${asWritten(other)} } for ${service}`;
    return {
      code: PLACE_PROBLEM,
      subject,
      message: `${said}, so no call goes there; end that program, or, ${rightBy}`,
    };
  }
  const advice = instead === '' ? `start the program, or ${TO_DO}` : `a program listens on ${instead}: ${TO_DO}`;
  return { code: TARGET_PROBLEM, subject, message: `${said}; ${advice}` };
}

/** Of targets that are not looked at, since only a datagram that is sent there shows that nobody takes it. */
export class RefusedDatagrams {
  readonly #problems: Problems;
  readonly #met = new Map<string, (message: string) => void>();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** The system was told so by an ICMP message. */
  met(place: Place): void {
    const subject = portsName(place.service, { protocol: place.protocol, first: place.port, last: place.port });
    // Anew each time: a changed file may have another address for it.
    const message = `${sayTarget(place, REFUSED)}; start the program, or ${TO_DO}`;
    entryOf(this.#met, subject, () => passing(this.#problems, { code: TARGET_PROBLEM, subject, message }))(message);
  }
}

const TO_DO = 'say in the agent file where it listens';

function sayTargets(service: string, range: PortRange, target: TargetAddress, cause: string): string {
  const { host, port } = target;
  const to = range.first === range.last ? '' : `-${port + range.last - range.first}`;
  return `${service} ${formatPortRange(range)} → ${formatHostPort(host, port)}${to}: ${cause}`;
}

/** Each with how many follow one another in everything. */
function runs(targets: readonly WrongTarget[]): readonly (readonly [WrongTarget, number])[] {
  const found: [WrongTarget, number][] = [];
  for (const next of targets) {
    const last = found.at(-1);
    if (last !== undefined && follows(next, last[0], last[1])) last[1]++;
    else found.push([next, 1]);
  }
  return found;
}

function follows(next: WrongTarget, first: WrongTarget, after: number): boolean {
  return (
    next.service === first.service &&
    next.protocol === first.protocol &&
    next.port === first.port + after &&
    next.target.host === first.target.host &&
    next.target.port === first.target.port + after &&
    next.cause === first.cause &&
    // A place of one port is no other's.
    next.instead === '' &&
    first.instead === ''
  );
}
