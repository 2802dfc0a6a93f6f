/** Who did what. */

/** Who asks: what their token lets them, and where they come from. */
export interface Actor {
  readonly role: 'admin' | 'read';
  /** Address, without port. */
  readonly address: string;
}

export interface AuditEntry {
  /** A later entry has a higher one. */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
  /** `admin 10.0.0.7`, `read 10.0.0.7`, `agent data-1` or `control`. */
  readonly actor: string;
  /** Such as `apply`, `token-create`, `agent-join`, `agent-revoke`, `sign-in`, `sign-in-refused`. */
  readonly action: string;
  /** Empty when it is about none. */
  readonly network: string;
  /** Such as `agent data-1`. */
  readonly subject: string;
  /** 0 when it made none. */
  readonly revision: number;
  readonly detail: string;
}

export interface AuditLog {
  /** On disk when this returns. The oldest entries beyond 10,000 go. */
  record(entry: Omit<AuditEntry, 'sequence' | 'atMs'>): void;
  /** Newest first. An empty network means all. */
  list(query: { readonly network: string; readonly limit: number; readonly before?: number }): readonly AuditEntry[];
}
