/** Calls that were turned away, in the audit: one line a minute for each address, and few in all, since each is a write. */
import type { Logger } from 'pino';
import { FailureCounter } from '../failures.ts';
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

  /** `method` is one of ours: what a stranger calls otherwise is not written down. */
  note(who: Refused, method: string): void {
    if (this.#ofOne.note(who.address) || this.#ofAll.note('all')) return;
    const actor = actorName(who);
    try {
      this.#audit.record({ actor, action: 'call-refused', network: '', subject: method, revision: 0, detail: '' });
    } catch (error) {
      // The call is refused all the same, and a full disk must not let a stranger end control.
      this.#logger.error({ event: 'refusal-not-recorded', err: error }, 'a refused call could not be written down');
    }
  }
}
