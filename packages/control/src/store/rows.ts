/** What stands in each table, and what changes there, as plain values. Times are milliseconds since the Unix epoch. */
import { BYTES, FLAG, INTEGER, NAMES, PLACE, RIGHTS, ROLES, type RowOf, TAKEN, TEXT, TIME } from './columns.ts';

export const NETWORKS = { name: TEXT, revision: INTEGER, secret: BYTES };

export type NewNetworkRow = RowOf<typeof NETWORKS>;

export interface NetworkRow extends NewNetworkRow {
  /** The newest of the network's revisions that are kept, its mesh as JSON, and where the mesh's rules come from. */
  readonly meshRevision: number;
  readonly mesh: string;
  readonly origins: string;
}

/** A member of a network. */
export const AGENTS = {
  id: TEXT,
  network: TEXT,
  /** Unique among the network's members. */
  host: TEXT,
  /** Ed25519 public key, 32 bytes. */
  identityKey: BYTES,
  /** X25519 public key, 32 bytes. */
  tunnelKey: BYTES,
  /** All that its rights let it run, sorted; some may not be declared in the mesh (any more, or yet). */
  services: NAMES,
  roles: ROLES,
  /** Forgotten a while after it disconnects. */
  ephemeral: FLAG,
  /** The token it joined with last. */
  tokenId: TEXT,
  /** Those before, of which it keeps what they permitted; latest first, and the last the one that made it a member. */
  earlierTokenIds: NAMES,
  /**
   * By what it has services and roles, in the order in which it joined with these tokens; grants come last. A version that knows them not changes the
   * columns above without it, and these count.
   */
  rights: RIGHTS,
  taken: TAKEN,
  /** At which what it may run by its rights was changed last; 0 when that was not kept. */
  rightsRevision: INTEGER,
  joinedMs: INTEGER,
  /** Software version it joined with. */
  version: TEXT,
};

export type AgentRow = RowOf<typeof AGENTS>;

export const INSTANCES = { network: TEXT, service: TEXT, ordinal: INTEGER, agentId: TEXT };

export type InstanceRow = RowOf<typeof INSTANCES>;

/** A name's place in the network's range. A name that went away keeps it for a while, from `releasedMs` on. */
export const ADDRESSES = { network: TEXT, name: TEXT, place: INTEGER, releasedMs: TIME };

export type AddressRow = RowOf<typeof ADDRESSES>;

export const TOKENS = {
  id: TEXT,
  network: TEXT,
  /** Place in the log of the change that made it: what was made first is told by this, and not by a clock. */
  sequence: INTEGER,
  /** SHA-256 of the secret, 32 bytes; the secret itself is kept nowhere. */
  secretHash: BYTES,
  /** What agents that join with it may run: sorted, without doubles. */
  services: NAMES,
  /** The one host name it is good for; empty for any. */
  host: TEXT,
  roles: ROLES,
  reusable: FLAG,
  ephemeral: FLAG,
  createdMs: INTEGER,
  expiresMs: INTEGER,
  /** How many agents joined with it. */
  uses: INTEGER,
  revoked: FLAG,
  /** When its one use was made or it was revoked, whichever was first; undefined while neither, and where that was not kept. */
  endedMs: TIME,
  /** The token that admits in its place; empty for none. */
  replacedBy: TEXT,
  /**
   * What was revoked or taken from a host after this place in the log, it does not give back: of one that replaces another that of
   * the other, else its own `sequence`, as where none is kept.
   */
  asOf: PLACE,
};

export type TokenRow = RowOf<typeof TOKENS>;

/** An agent that is no member any more. Kept for a while, so that it can be told so and knows to cut everything. */
export const ENDED_AGENTS = {
  id: TEXT,
  network: TEXT,
  host: TEXT,
  identityKey: BYTES,
  /** A sentence. */
  reason: TEXT,
  /** An operator ended it; otherwise it was ephemeral and went away. */
  revoked: FLAG,
  /** Place in the log of the change that ended it. */
  sequence: INTEGER,
  endedMs: INTEGER,
  /** What was taken from it, and is not to come back with it. */
  taken: TAKEN,
};

export type EndedAgentRow = RowOf<typeof ENDED_AGENTS>;

/** A run of control. */
export const RUNS = {
  timeline: TEXT,
  /** Where its data stood when it began; of what was given up, the newest that is numbered above. */
  revision: INTEGER,
  /** What it told is lost, by an operator's word; it stands for all runs of its epoch. */
  givenUp: FLAG,
};

export type RunRow = RowOf<typeof RUNS>;

/** A mesh that was applied. */
export const REVISIONS = {
  network: TEXT,
  revision: INTEGER,
  /** 0 when it was applied before control kept this. */
  appliedMs: INTEGER,
  /** What differed from the mesh before, as JSON. */
  changes: TEXT,
  /** The mesh as JSON. */
  mesh: TEXT,
  /** Where its rules come from, as JSON; empty when a version wrote it that did not keep this. */
  origins: TEXT,
};

export type RevisionRow = RowOf<typeof REVISIONS>;

export const AUDIT = {
  /** A later one has a higher one. */
  sequence: INTEGER,
  atMs: INTEGER,
  /** `admin 10.0.0.7`, `read 10.0.0.7`, `nobody 10.0.0.7`, `agent data-1` or `control`. */
  actor: TEXT,
  /** Such as `apply`, `rollback`, `token-create`, `agent-join`, `agent-revoke`, `sign-in`. What ends in `-refused` was not done. */
  action: TEXT,
  /** Empty when it is about none. */
  network: TEXT,
  /** Such as `agent data-1`. */
  subject: TEXT,
  /** 0 when it made none. */
  revision: INTEGER,
  detail: TEXT,
};

export type AuditRow = RowOf<typeof AUDIT>;

export interface NewAuditRow extends Omit<AuditRow, 'sequence'> {
  /** Nothing was done: somebody was turned away. Such rows are kept apart from the others. */
  readonly refused: boolean;
}

/** Everything that control works with, as it was at the last committed change. */
export interface Contents {
  /** How many commits were made. */
  readonly sequence: number;
  /** The newest of any network and of the audit, which tells of those that were removed too. */
  readonly revision: number;
  /** The schema that a control must know to work with this. */
  readonly needed: number;
  readonly networks: readonly NetworkRow[];
  readonly agents: readonly AgentRow[];
  readonly instances: readonly InstanceRow[];
  readonly addresses: readonly AddressRow[];
  readonly tokens: readonly TokenRow[];
  readonly endedAgents: readonly EndedAgentRow[];
  /** Oldest first. */
  readonly runs: readonly RunRow[];
}

/** What each write takes. */
export interface WriteRows {
  /** Adds a network; its mesh comes with its first revision. */
  readonly addNetwork: NewNetworkRow;
  /** Removes the network, which has no agent any more, with its secret, revisions, tokens and addresses. Its revision is for who follows. */
  readonly removeNetwork: Pick<NetworkRow, 'name' | 'revision'>;
  readonly setRevision: Pick<NetworkRow, 'name' | 'revision'>;
  /** A control that does not know this schema is to refuse the data. */
  readonly setNeeded: Pick<Contents, 'needed'>;
  /** Adds the agent, or replaces everything but the id and the network of one that is there. */
  readonly putAgent: AgentRow;
  /** Removes the agent and its instances. */
  readonly removeAgent: Pick<AgentRow, 'id'>;
  readonly addInstance: InstanceRow;
  readonly removeInstance: Omit<InstanceRow, 'agentId'>;
  readonly putAddress: AddressRow;
  readonly removeAddress: Pick<AddressRow, 'network' | 'name'>;
  /** Adds the token, or replaces the uses and the end of one that is there. */
  readonly putToken: TokenRow;
  readonly removeToken: Pick<TokenRow, 'id'>;
  /** Adds it, or replaces what was taken of one that is there. */
  readonly putEndedAgent: EndedAgentRow;
  readonly removeEndedAgent: Pick<EndedAgentRow, 'id'>;
  /** Adds the run, or replaces all but the name of one that is there. */
  readonly putRun: RunRow;
  readonly removeRun: Pick<RunRow, 'timeline'>;
  /** Its mesh is the network's from now on. The oldest of the network beyond what is kept go. */
  readonly addRevision: RevisionRow;
  /** Its rules were found elsewhere, and are what they were. */
  readonly setOrigins: Pick<RevisionRow, 'network' | 'revision' | 'origins'>;
  /** The oldest of its sort beyond what is kept go. */
  readonly addAudit: NewAuditRow;
}

/** One change of one table, as a value. */
export type RowWrite<Word extends keyof WriteRows = keyof WriteRows> = {
  [Each in Word]: { readonly write: Each; readonly row: WriteRows[Each] };
}[Word];

/** What does each write. */
export type Writes = { readonly [Word in keyof WriteRows]: (row: WriteRows[Word]) => void };
