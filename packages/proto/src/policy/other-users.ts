/** For whom a verdict is another, since rules speak of users. */
import { listed } from '../model/values.ts';
import type { Policy, Verdict } from './types.ts';

/** Users and rules that a sentence names. */
const NAMED = 8;

/** Of a verdict on who runs as a user that no rule names: one sentence, or none. */
export function otherUsers(policy: Policy, { source, destination, allowed }: Verdict): string[] {
  const others = [...policy.usersAsked(destination), null].flatMap((user) => {
    const verdict = policy.decide(source, destination, user);
    if (verdict.allowed === allowed) return [];
    return [`${user === null ? 'one that is not known' : `user ${user}`} (rule ${verdict.rule})`];
  });
  return others.length === 0 ? [] : [`but ${allowed ? 'not ' : ''}for ${listed(others, NAMED)}`];
}
