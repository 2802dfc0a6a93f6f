/** What stands in each table, as plain values. Times are milliseconds since the Unix epoch. */
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

export interface AgentRow {
  readonly id: string;
  readonly network: string;
  readonly host: string;
  readonly identityKey: Uint8Array;
  readonly tunnelKey: Uint8Array;
  readonly services: readonly string[];
  readonly roles: readonly AgentRole[];
  readonly ephemeral: boolean;
  readonly tokenId: string;
  readonly joinedMs: number;
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
  readonly secretHash: Uint8Array;
  readonly services: readonly string[];
  readonly host: string;
  readonly roles: readonly AgentRole[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly uses: number;
  readonly revoked: boolean;
}

export interface EndedAgentRow {
  readonly id: string;
  readonly network: string;
  readonly host: string;
  readonly identityKey: Uint8Array;
  readonly reason: string;
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
  readonly sequence: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly network: string;
  readonly subject: string;
  readonly revision: number;
  readonly detail: string;
}

export interface NewAuditRow extends Omit<AuditRow, 'sequence'> {
  /** Nothing was done: somebody was turned away. Such rows are kept apart from the others. */
  readonly refused: boolean;
}

/** Everything that control works with, as it was at the last committed change. */
export interface Contents {
  readonly networks: readonly NetworkRow[];
  readonly agents: readonly AgentRow[];
  readonly instances: readonly InstanceRow[];
  readonly addresses: readonly AddressRow[];
  readonly tokens: readonly TokenRow[];
  readonly endedAgents: readonly EndedAgentRow[];
}
