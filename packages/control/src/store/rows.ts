/** What stands in each table, and what changes there, as plain values. Times are milliseconds since the Unix epoch. */
import type { AgentRole } from '@weft/proto';

export interface NewNetworkRow {
  readonly name: string;
  readonly revision: number;
  readonly secret: Uint8Array;
}

export interface NetworkRow extends NewNetworkRow {
  /** The mesh as JSON: that of the newest of the network's revisions. */
  readonly mesh: string;
}

/** A member of a network. */
export interface AgentRow {
  readonly id: string;
  readonly network: string;
  /** Unique among the network's members. */
  readonly host: string;
  /** Ed25519 public key, 32 bytes. */
  readonly identityKey: Uint8Array;
  /** X25519 public key, 32 bytes. */
  readonly tunnelKey: Uint8Array;
  /** Services it may run, sorted; some may not be declared in the mesh (any more, or yet). */
  readonly services: readonly string[];
  readonly roles: readonly AgentRole[];
  /** Forgotten a while after it disconnects. */
  readonly ephemeral: boolean;
  /** The token it joined with. */
  readonly tokenId: string;
  readonly joinedMs: number;
  /** Software version it joined with. */
  readonly version: string;
}

export interface InstanceRow {
  readonly network: string;
  readonly service: string;
  readonly ordinal: number;
  readonly agentId: string;
}

/** A name's place in the network's range. A name that went away keeps it for a while, from `releasedMs` on. */
export interface AddressRow {
  readonly network: string;
  readonly name: string;
  readonly offset: number;
  readonly releasedMs: number | undefined;
}

export interface TokenRow {
  readonly id: string;
  readonly network: string;
  /** SHA-256 of the secret, 32 bytes; the secret itself is kept nowhere. */
  readonly secretHash: Uint8Array;
  /** What agents that join with it may run: sorted, without doubles. */
  readonly services: readonly string[];
  /** The one host name it is good for; empty for any. */
  readonly host: string;
  readonly roles: readonly AgentRole[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** How many agents joined with it. */
  readonly uses: number;
  readonly revoked: boolean;
}

/** An agent that is no member any more. Kept for a while, so that it can be told so and knows to cut everything. */
export interface EndedAgentRow extends Pick<AgentRow, 'id' | 'network' | 'host' | 'identityKey'> {
  /** A sentence. */
  readonly reason: string;
  /** An operator ended it; otherwise it was ephemeral and went away. */
  readonly revoked: boolean;
  readonly endedMs: number;
}

/** A mesh that was applied. */
export interface RevisionRow {
  readonly network: string;
  readonly revision: number;
  /** 0 when it was applied before control kept this. */
  readonly appliedMs: number;
  /** What differed from the mesh before, as JSON. */
  readonly changes: string;
  /** The mesh as JSON. */
  readonly mesh: string;
}

export interface AuditRow {
  /** A later one has a higher one. */
  readonly sequence: number;
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

export interface NewAuditRow extends Omit<AuditRow, 'sequence'> {
  /** Nothing was done: somebody was turned away. Such rows are kept apart from the others. */
  readonly refused: boolean;
}

/** A run of control, and the revision that its data stood at when it began. */
export interface RunRow {
  readonly timeline: string;
  readonly revision: number;
}

/** Everything that control works with, as it was at the last committed change. */
export interface Contents {
  /** How many commits were made. */
  readonly sequence: number;
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
  readonly setRevision: Pick<NetworkRow, 'name' | 'revision'>;
  /** Adds the agent, or replaces everything but the id and the network of one that is there. */
  readonly putAgent: AgentRow;
  /** Removes the agent and its instances. */
  readonly removeAgent: Pick<AgentRow, 'id'>;
  readonly addInstance: InstanceRow;
  readonly removeInstance: Omit<InstanceRow, 'agentId'>;
  readonly putAddress: AddressRow;
  readonly removeAddress: Pick<AddressRow, 'network' | 'name'>;
  /** Adds the token, or replaces the uses and the revocation of one that is there. */
  readonly putToken: TokenRow;
  readonly removeToken: Pick<TokenRow, 'id'>;
  readonly addEndedAgent: EndedAgentRow;
  readonly removeEndedAgent: Pick<EndedAgentRow, 'id'>;
  /** Adds the run, or replaces the revision of one that is there. */
  readonly putRun: RunRow;
  readonly removeRun: Pick<RunRow, 'timeline'>;
  /** Its mesh is the network's from now on. The oldest of the network beyond what is kept go. */
  readonly addRevision: RevisionRow;
  /** The oldest of its sort beyond what is kept go. */
  readonly addAudit: NewAuditRow;
}

/** One change of one table, as a value. */
export type RowWrite<Word extends keyof WriteRows = keyof WriteRows> = {
  [Each in Word]: { readonly write: Each; readonly row: WriteRows[Each] };
}[Word];

/** What does each write. */
export type Writes = { readonly [Word in keyof WriteRows]: (row: WriteRows[Word]) => void };
