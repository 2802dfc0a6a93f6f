/** The statements that change something. They are prepared once; a transaction strings them together. */
import type { DatabaseSync } from 'node:sqlite';
import { prepareHistoryWrites } from './history.ts';
import type {
  AddressRow,
  AgentRow,
  EndedAgentRow,
  InstanceRow,
  NewAuditRow,
  NewNetworkRow,
  RevisionRow,
  TokenRow,
} from './rows.ts';

export interface Writes {
  /** Adds a network; its mesh comes with its first revision. */
  addNetwork(row: NewNetworkRow): void;
  setRevision(network: string, revision: number): void;
  /** Adds the agent, or replaces everything but the id and the network of one that is there. */
  putAgent(row: AgentRow): void;
  /** Removes the agent and its instances. */
  removeAgent(id: string): void;
  addInstance(row: InstanceRow): void;
  removeInstance(network: string, service: string, ordinal: number): void;
  putAddress(row: AddressRow): void;
  removeAddress(network: string, name: string): void;
  addToken(row: TokenRow): void;
  countTokenUse(id: string): void;
  revokeToken(id: string): void;
  removeToken(id: string): void;
  addEndedAgent(row: EndedAgentRow): void;
  removeEndedAgent(id: string): void;
  /** Its mesh is the network's from now on. The oldest of the network beyond what is kept go. */
  addRevision(row: RevisionRow): void;
  /** The oldest of its sort beyond what is kept go. */
  addAudit(row: NewAuditRow): void;
}

export function prepareWrites(database: DatabaseSync): Writes {
  const addNetwork = database.prepare('INSERT INTO networks (name, revision, secret) VALUES (?, ?, ?)');
  const setRevision = database.prepare('UPDATE networks SET revision = ? WHERE name = ?');
  const putAgent = database.prepare(
    `INSERT INTO agents
       (id, network, host, identity_key, tunnel_key, services, roles, ephemeral, token_id, joined_ms, version)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       host = excluded.host, identity_key = excluded.identity_key, tunnel_key = excluded.tunnel_key,
       services = excluded.services, roles = excluded.roles, ephemeral = excluded.ephemeral,
       token_id = excluded.token_id, joined_ms = excluded.joined_ms, version = excluded.version`,
  );
  const removeAgent = database.prepare('DELETE FROM agents WHERE id = ?');
  const addInstance = database.prepare(
    'INSERT INTO instances (network, service, ordinal, agent_id) VALUES (?, ?, ?, ?)',
  );
  const removeInstance = database.prepare('DELETE FROM instances WHERE network = ? AND service = ? AND ordinal = ?');
  const putAddress = database.prepare(
    `INSERT INTO addresses (network, name, place, released_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (network, name) DO UPDATE SET place = excluded.place, released_ms = excluded.released_ms`,
  );
  const removeAddress = database.prepare('DELETE FROM addresses WHERE network = ? AND name = ?');
  const addToken = database.prepare(
    `INSERT INTO tokens
       (id, network, secret_hash, services, host, roles, reusable, ephemeral, created_ms, expires_ms, uses, revoked)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const countTokenUse = database.prepare('UPDATE tokens SET uses = uses + 1 WHERE id = ?');
  const revokeToken = database.prepare('UPDATE tokens SET revoked = 1 WHERE id = ?');
  const removeToken = database.prepare('DELETE FROM tokens WHERE id = ?');
  const addEndedAgent = database.prepare(
    'INSERT INTO ended_agents (id, network, host, identity_key, reason, revoked, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const removeEndedAgent = database.prepare('DELETE FROM ended_agents WHERE id = ?');
  const bit = (value: boolean): number => (value ? 1 : 0);

  return {
    addNetwork: (row) => void addNetwork.run(row.name, row.revision, row.secret),
    setRevision: (network, revision) => void setRevision.run(revision, network),
    putAgent: (row) =>
      void putAgent.run(
        row.id,
        row.network,
        row.host,
        row.identityKey,
        row.tunnelKey,
        JSON.stringify(row.services),
        JSON.stringify(row.roles),
        bit(row.ephemeral),
        row.tokenId,
        row.joinedMs,
        row.version,
      ),
    removeAgent: (id) => void removeAgent.run(id),
    addInstance: (row) => void addInstance.run(row.network, row.service, row.ordinal, row.agentId),
    removeInstance: (network, service, ordinal) => void removeInstance.run(network, service, ordinal),
    putAddress: (row) => void putAddress.run(row.network, row.name, row.offset, row.releasedMs ?? null),
    removeAddress: (network, name) => void removeAddress.run(network, name),
    addToken: (row) =>
      void addToken.run(
        row.id,
        row.network,
        row.secretHash,
        JSON.stringify(row.services),
        row.host,
        JSON.stringify(row.roles),
        bit(row.reusable),
        bit(row.ephemeral),
        row.createdMs,
        row.expiresMs,
        row.uses,
        bit(row.revoked),
      ),
    countTokenUse: (id) => void countTokenUse.run(id),
    revokeToken: (id) => void revokeToken.run(id),
    removeToken: (id) => void removeToken.run(id),
    addEndedAgent: (row) =>
      void addEndedAgent.run(row.id, row.network, row.host, row.identityKey, row.reason, bit(row.revoked), row.endedMs),
    removeEndedAgent: (id) => void removeEndedAgent.run(id),
    ...prepareHistoryWrites(database),
  };
}
