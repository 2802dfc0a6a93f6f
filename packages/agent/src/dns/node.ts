/** What stands at a name of a zone. Every name of ours has records of one type alone, the apexes aside. */
import type { AnswerRecord } from './answer.ts';

export type Node =
  /** No such name: NXDOMAIN. */
  | { readonly at: 'nothing' }
  /** A name without records of its own, such as `_tcp.redis.internal`, or one whose instances are all gone. */
  | { readonly at: 'empty' }
  /** The name exists, but its address does not fit this agent's VIP range: SERVFAIL, as "none" would be a lie. */
  | { readonly at: 'unserved' }
  | {
      readonly at: 'records';
      readonly records: readonly AnswerRecord[];
      readonly additionals?: readonly AnswerRecord[];
      /** Whether each answer starts with another record. */
      readonly rotates?: boolean;
    };

export const nothing: Node = { at: 'nothing' };
export const empty: Node = { at: 'empty' };
export const unserved: Node = { at: 'unserved' };
