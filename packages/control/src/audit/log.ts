/** The audit on disk, for those who record something that is no change of the state, and for those who read it. */
import type { History } from '../store/change-log.ts';
import { auditRow } from './entry.ts';
import type { AuditLog } from './types.ts';

export interface AuditLogOptions {
  readonly store: Pick<History, 'audit' | 'record'>;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export function openAuditLog({ store, now }: AuditLogOptions): AuditLog {
  return {
    record: (entry) => store.record(auditRow(entry, now())),
    list: (query) => store.audit(query),
  };
}
