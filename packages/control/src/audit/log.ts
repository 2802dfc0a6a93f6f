/** The audit on disk, for those who record something that is no change of the state, and for those who read it. */
import type { Store } from '../store/store.ts';
import { auditRow } from './entry.ts';
import type { AuditEntry, AuditLog } from './types.ts';

export interface AuditLogOptions {
  readonly store: Store;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export function openAuditLog(options: AuditLogOptions): AuditLog {
  return new StoredAuditLog(options);
}

class StoredAuditLog implements AuditLog {
  readonly #store: Store;
  readonly #now: () => number;

  constructor({ store, now }: AuditLogOptions) {
    this.#store = store;
    this.#now = now;
  }

  record(entry: Omit<AuditEntry, 'sequence' | 'atMs'>): void {
    this.#store.record(auditRow(entry, this.#now()));
  }

  list({ network, limit, before = Number.MAX_SAFE_INTEGER }: Parameters<AuditLog['list']>[0]): readonly AuditEntry[] {
    return this.#store.audit({ network, limit, before });
  }
}
