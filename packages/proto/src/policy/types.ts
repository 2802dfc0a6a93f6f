/** The verdict's vocabulary. One evaluator serves agents, which enforce, and control, which explains and tests. */
import type { Protocol, Service } from '../model/mesh.ts';

/** Who opens a flow. */
export type Source =
  | { readonly type: 'service'; readonly service: Service }
  | HostSource
  | { readonly type: 'internet' };

/** A process of a host of which nobody can tell which service it is, or whether it is one. */
export interface HostSource {
  readonly type: 'host';
  readonly name: string;
  readonly tags: readonly string[];
  /** What it may be one of: all that control lets the host run. What denies one of them denies it. */
  readonly services: readonly Service[];
}

/** What it asks for. */
export interface Destination {
  readonly service: Service;
  readonly port: number;
  readonly protocol: Protocol;
}

interface VerdictBase {
  readonly source: Source;
  readonly destination: Destination;
  /** The rule that decided: a rule's name, `default`, or `builtin:...`. */
  readonly rule: string;
  /** Revision of the policy that decided. */
  readonly revision: number;
  /** The verdict in words, for people. */
  readonly reason: string;
}

declare const decided: unique symbol;

/** Only the evaluator makes one, so a stage whose signature asks for a Permit cannot be reached without the check. */
export interface Permit extends VerdictBase {
  readonly allowed: true;
  readonly [decided]: true;
}

export interface Denied extends VerdictBase {
  readonly allowed: false;
}

export type Verdict = Permit | Denied;

/** The user of who calls: the name; empty for one that no rule names; null where nobody knows. */
export type CallerUser = string | null;

/** A compiled policy: immutable, cheap to ask. */
export interface Policy {
  readonly revision: number;
  /**
   * A user that nobody knows is permitted nothing that a user is, and denied what any is. The internet has none, whatever is said.
   */
  decide(source: Source, destination: Destination, user: CallerUser): Verdict;
  /** Whether a rule about this destination speaks of users. */
  asksUser(destination: Destination): boolean;
  /** Names of the users that rules about it speak of. */
  usersAsked(destination: Destination): readonly string[];
}
