/** What was turned away, in the audit: one line a minute for each address and kind, and few in all, since each is a write. */
import { addressGroup } from '@weft/proto/bounds';
import type { Logger } from 'pino';
import { FailureCounter } from '../bounds/failures.ts';
import { actorName } from './entry.ts';
import type { Actor, AuditLog } from './types.ts';

const OF_ONE = { failures: 1, windowMs: 60_000, remembered: 1_024 };
/** An address is cheap to change for who has a whole network of them. */
const OF_ALL = { failures: 20, windowMs: 60_000, remembered: 1 };

/** A role whose token is known and not enough, or nobody. */
export interface Refused {
  readonly role: Actor['role'] | 'nobody';
  readonly address: string;
}

export interface RefusalAuditOptions {
  readonly audit: Pick<AuditLog, 'record'>;
  readonly now: () => number;
  readonly logger: Logger;
}

export type RefusalAudit = ReturnType<typeof openRefusalAudit>;

/** One for all ports of control: what is refused at either counts towards the same bound. */
export function openRefusalAudit({ audit, now, logger }: RefusalAuditOptions) {
  const ofOne = new FailureCounter(OF_ONE, now);
  const ofAll = new FailureCounter(OF_ALL, now);
  const note = (who: Refused, action: string, subject: string, detail: string): void => {
    if (ofOne.note(`${action} ${addressGroup(who.address)}`) || ofAll.note('all')) return;
    const act = { actor: actorName(who), action, network: '', subject, revision: 0, detail };
    audit.record(act).catch((error: unknown) => {
      // It is refused all the same, and a full disk must not let a stranger end control.
      logger.error({ event: 'refusal-not-recorded', action, err: error }, 'a refusal could not be written down');
    });
  };
  return {
    /** `method` is one of ours, or a route's template: what a stranger calls otherwise is not written down. */
    note: (who: Refused, method: string): void => note(who, 'call-refused', method, ''),
    noteSignIn: (address: string): void =>
      note({ role: 'nobody', address }, 'sign-in-refused', 'dashboard', 'wrong token'),
  };
}
