/** Sign-ins and sign-outs, in the audit where it takes them. */
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { Actor, AuditLog } from '../audit/types.ts';
import { FailureCounter } from '../bounds/failures.ts';
import { StoreError } from '../store/errors.ts';

/** Lines of the log that tell of one that was not written down. */
const TOLD = { failures: 10, windowMs: 60_000, remembered: 1 };

export interface SignInAuditOptions {
  readonly audit: Pick<AuditLog, 'record'>;
  readonly now: () => number;
  readonly logger: Logger;
}

export class SignInAudit {
  readonly #audit: Pick<AuditLog, 'record'>;
  readonly #logger: Logger;
  readonly #told: FailureCounter;

  constructor({ audit, now, logger }: SignInAuditOptions) {
    this.#audit = audit;
    this.#logger = logger;
    this.#told = new FailureCounter(TOLD, now);
  }

  async note(who: Actor, action: 'sign-in' | 'sign-out'): Promise<void> {
    const actor = actorName(who);
    try {
      await this.#audit.record({ actor, action, network: '', subject: 'dashboard', revision: 0, detail: '' });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // With a full disk the page is what shows what goes on: it must open then, and the log has who it was.
      if (this.#told.note('all')) return;
      this.#logger.error(
        { event: 'sign-in-not-recorded', action, actor, err: error },
        'a sign-in was not written down',
      );
    }
  }
}
