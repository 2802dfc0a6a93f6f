/** Where a program of this host is called in vain: in words, and as problems that stand while it is so. */
import {
  entryOf,
  formatHostPort,
  formatPortRange,
  type PortRange,
  type Protocol,
  portsName,
  TARGET_PROBLEM,
} from '@weft/proto';
import { type Problems, passing } from '../words/problems.ts';
import type { TargetAddress } from './addresses.ts';

/** One declared port without a program. */
export interface WrongTarget {
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** The address that was tried first, which is the one that is meant. */
  readonly target: TargetAddress;
  /** What came of it. */
  readonly cause: string;
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
  #standing: ReadonlySet<string> = new Set();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** All there are now, in the order of their ports. */
  tell(targets: readonly WrongTarget[]): void {
    const standing = new Set<string>();
    for (const [first, count] of runs(targets)) {
      const { service, protocol, port, target, cause, instead } = first;
      const range = { protocol, first: port, last: port + count - 1 };
      const subject = portsName(service, range);
      standing.add(subject);
      const advice = instead === '' ? `start the program, or ${TO_DO}` : `a program listens on ${instead}: ${TO_DO}`;
      const message = `${sayTargets(service, range, target, cause)}; ${advice}`;
      this.#problems.raise({ code: TARGET_PROBLEM, subject, message });
    }
    for (const before of this.#standing) if (!standing.has(before)) this.#problems.clear(TARGET_PROBLEM, before);
    this.#standing = standing;
  }
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
