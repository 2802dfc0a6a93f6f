/** What was turned away, in the audit: one line a minute for each address and kind, and few in all, since each is a write. */
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

/** One for all ports of control: what is refused at either counts towards the same bound. */
export class RefusalAudit {
  readonly #audit: Pick<AuditLog, 'record'>;
  readonly #logger: Logger;
  readonly #ofOne: FailureCounter;
  readonly #ofAll: FailureCounter;

  constructor({ audit, now, logger }: RefusalAuditOptions) {
    this.#audit = audit;
    this.#logger = logger;
    this.#ofOne = new FailureCounter(OF_ONE, now);
    this.#ofAll = new FailureCounter(OF_ALL, now);
  }

  /** `method` is one of ours, or a route's template: what a stranger calls otherwise is not written down. */
  note(who: Refused, method: string): void {
    this.#note(who, { action: 'call-refused', subject: method, detail: '' });
  }

  noteSignIn(address: string): void {
    const who = { role: 'nobody', address } as const;
    this.#note(who, { action: 'sign-in-refused', subject: 'dashboard', detail: 'wrong token' });
  }

  #note(who: Refused, what: { readonly action: string; readonly subject: string; readonly detail: string }): void {
    if (this.#ofOne.note(`${what.action} ${who.address}`) || this.#ofAll.note('all')) return;
    this.#audit.record({ actor: actorName(who), network: '', revision: 0, ...what }).catch((error: unknown) => {
      // It is refused all the same, and a full disk must not let a stranger end control.
      const { action } = what;
      this.#logger.error({ event: 'refusal-not-recorded', action, err: error }, 'a refusal could not be written down');
    });
  }
}
