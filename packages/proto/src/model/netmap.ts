/** What control tells one agent. Addresses are 32-bit numbers in 127.80.0.0/12; an agent may shift them. */

import type { AgentRole } from './agent-role.ts';
import type { Action, PortRange, Rule, Service } from './mesh.ts';

export interface ServiceItem {
  readonly type: 'service';
  readonly service: Service;
  /** VIP, or a worker's source address. */
  readonly address: number;
}

export interface InstanceItem {
  readonly type: 'instance';
  readonly service: string;
  readonly ordinal: number;
  readonly agentId: string;
  readonly address: number;
  readonly healthy: boolean;
  readonly notListening: readonly PortRange[];
  /** Ports beside the declared ones that are published while its programs listen; left out where there are none. */
  readonly opened?: readonly PortRange[];
}

/** What is told of an agent, to itself and to its peers. */
export interface AgentItem {
  readonly agentId: string;
  readonly host: string;
  readonly tags: readonly string[];
  readonly roles: readonly AgentRole[];
  /** Services it may speak as. */
  readonly services: readonly string[];
  readonly address: number;
}

export interface PeerItem extends AgentItem {
  readonly type: 'peer';
  /** X25519 public key, 32 bytes. */
  readonly tunnelKey: Uint8Array;
  /** Pre-shared key of the pair, 32 bytes. */
  readonly psk: Uint8Array;
  /** HOST:PORT, in the order to try. */
  readonly endpoints: readonly string[];
}

export interface PolicyItem {
  readonly type: 'policy';
  readonly defaultAction: Action;
  readonly rules: readonly Rule[];
}

export interface SelfItem extends AgentItem {
  readonly type: 'self';
  readonly network: string;
  /** Where control can be reached, HOST:PORT, in the order to try; empty when it does not say. */
  readonly controlAddresses: readonly string[];
}

export type NetmapItem = ServiceItem | InstanceItem | PeerItem | PolicyItem | SelfItem;

/** The rule in every verdict while no policy could be read. */
export const UNREADABLE_POLICY_RULE = 'builtin:unreadable-policy';

/** What stands in for a policy that could not be read: nobody reaches anything, the internet included. */
export const DENY_ALL_POLICY: PolicyItem = {
  type: 'policy',
  defaultAction: 'deny',
  rules: [{ name: UNREADABLE_POLICY_RULE, action: 'deny', from: ['*'], to: ['*'], ports: [] }],
};

/** Key of an item: service/NAME, instance/SERVICE/ORDINAL, peer/AGENT_ID, policy or self. */
export function itemKey(item: NetmapItem): string {
  switch (item.type) {
    case 'service':
      return `service/${item.service.name}`;
    case 'instance':
      return `instance/${item.service}/${item.ordinal}`;
    case 'peer':
      return `peer/${item.agentId}`;
    case 'policy':
    case 'self':
      return item.type;
  }
}

/** A change from state `previous` to state `index` of `timeline`; with `snapshot`, the whole state. */
export interface NetmapDelta {
  readonly timeline: string;
  readonly previous: number;
  readonly index: number;
  readonly revision: number;
  readonly snapshot: boolean;
  readonly upserts: readonly NetmapItem[];
  readonly removals: readonly string[];
  /** Control's proof that it told of this revision, 16 bytes; left out by one that gives none. */
  readonly receipt?: Uint8Array;
}
