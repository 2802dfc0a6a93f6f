/** What control keeps, as those see it who keep it there: not which database it is in, nor when that works. */
import type { AuditRow, Contents, NewAuditRow, RevisionRow, RowWrite } from './rows.ts';

/** Every change of what is, one after the other, each whole. What fails rejects with StoreError. */
export interface ChangeLog {
  /** What all commits until now come to. */
  read(): Promise<Contents>;
  /** From when it resolves on, `told` hears of each commit, whoever made it: its sequence, in order, once it is durable. */
  follow(told: (sequence: number) => void): Promise<void>;
  /**
   * Commits `writes` as the change after `expected`: durable when it resolves. False, and nothing is written, when another
   * commit has that place. When it rejects, only `read` can say whether it was made.
   */
  append(expected: number, writes: readonly RowWrite[]): Promise<boolean>;
}

export interface AuditQuery {
  /** Empty for all. */
  readonly network: string;
  readonly limit: number;
  /** Only rows before this sequence. */
  readonly before?: number;
}

/** What was: meshes that were applied, and who did what. What fails rejects with StoreError. */
export interface History {
  /** Newest first; with `before`, only those before that one. */
  revisions(network: string, limit: number, before?: number): Promise<Omit<RevisionRow, 'mesh' | 'origins'>[]>;
  /** The newest at this revision or before it. */
  meshAt(network: string, revision: number): Promise<Pick<RevisionRow, 'revision' | 'mesh'> | undefined>;
  oldestRevision(network: string): Promise<number | undefined>;
  /** The newest that has this very mesh. */
  revisionOf(network: string, mesh: RevisionRow['mesh']): Promise<number | undefined>;
  /** Newest first: of the network and of none. */
  audit(query: AuditQuery): Promise<AuditRow[]>;
  /** A line of the audit that belongs to no change: durable when it resolves. */
  record(row: NewAuditRow): Promise<void>;
}
