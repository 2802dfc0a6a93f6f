/** Who did what. */
import type { AuditQuery } from '../store/change-log.ts';
import type { AuditRow } from '../store/rows.ts';

/** Who asks: what their token lets them, and where they come from. */
export interface Actor {
  readonly role: 'admin' | 'read';
  /** Address, without port. */
  readonly address: string;
}

export type AuditEntry = AuditRow;

export interface AuditLog {
  /**
   * Durable when this resolves; rejects with StoreError when it cannot be. The oldest beyond 10,000 go; what was
   * refused has a share of its own there, so that it cannot push out what was done.
   */
  record(entry: Omit<AuditEntry, 'sequence' | 'atMs'>): Promise<void>;
  /** Newest first: of the network and of none. An empty network means all. */
  list(query: AuditQuery): Promise<readonly AuditEntry[]>;
}
