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
  /** `admin 10.0.0.7`, `read 10.0.0.7`, `nobody 10.0.0.7`, `agent data-1` or `control`. */
  readonly actor: string;
  /** Such as `apply`, `token-create`, `agent-join`, `agent-revoke`, `sign-in`. What ends in `-refused` was not done. */
  readonly action: string;
  /** Empty when it is about none. */
  readonly network: string;
  /** Such as `agent data-1`. */
  readonly subject: string;
  /** 0 when it made none. */
  readonly revision: number;
  readonly detail: string;
}

export interface AuditPage {
  readonly network: string;
  readonly limit: number;
  /** Only entries before this sequence. */
  readonly before?: number;
}

export interface AuditLog {
  /**
   * Durable when this resolves; rejects with StoreError when it cannot be. The oldest beyond 10,000 go; what was refused has a share
   * of its own there, so that it cannot push out what was done.
   */
  record(entry: Omit<AuditEntry, 'sequence' | 'atMs'>): Promise<void>;
  /** Newest first: of the network and of none. An empty network means all. */
  list(query: AuditPage): Promise<readonly AuditEntry[]>;
}
