/** Items of an agent's netmap, wire to model and back, and their digests. */

import { createHash } from 'node:crypto';
import { parseHostPort } from '../model/endpoint.ts';
import { LIMITS, WIRE_LIMITS } from '../model/limits.ts';
import {
  type AgentItem,
  type InstanceItem,
  itemKey,
  type NetmapItem,
  type PeerItem,
  type PolicyItem,
  type SelfItem,
  type ServiceItem,
} from '../model/netmap.ts';
import { checkService } from '../model/validate-service.ts';
import { address, bytes, endpoint, hostName, identifier, integer, list, required, serviceName, tag } from './check.ts';
import { actionCodec, rolesGranted, rolesToWire } from './enums.ts';
import { WireError } from './errors.ts';
import { weft } from './generated.ts';
import {
  enforcedRuleFromWire,
  enforcedServiceFromWire,
  enforcedServiceToWire,
  knownPortsFromWire,
  openedFromWire,
  portsToWire,
  ruleToWire,
} from './mesh.ts';
import type * as pb from './pb.ts';

export const KEY_BYTES = 32;
const MAX_ORDINAL = 0xffffffff;

export function itemToWire(item: NetmapItem): pb.Outgoing<pb.Item> {
  const key = itemKey(item);
  switch (item.type) {
    case 'service':
      return { key, service: { service: enforcedServiceToWire(item.service), address: item.address } };
    case 'instance':
      return {
        key,
        instance: { ...item, notListening: portsToWire(item.notListening), opened: portsToWire(item.opened ?? []) },
      };
    case 'peer':
      return { key, peer: { ...item, roles: rolesToWire(item.roles) } };
    case 'policy':
      return {
        key,
        policy: { defaultAction: actionCodec.toWire(item.defaultAction), rules: item.rules.map(ruleToWire) },
      };
    case 'self':
      return { key, self: { ...item, roles: rolesToWire(item.roles) } };
  }
}

function readAgent(wire: pb.Outgoing<pb.PeerItem | pb.SelfItem>, at: string): AgentItem {
  return {
    agentId: identifier(wire.agentId, `${at}.agent_id`),
    host: hostName(wire.host, `${at}.host`),
    tags: list(wire.tags, `${at}.tags`, LIMITS.tags, tag),
    roles: rolesGranted(wire.roles, `${at}.roles`),
    services: list(wire.services, `${at}.services`, LIMITS.services, serviceName),
    address: address(wire.address, `${at}.address`),
  };
}

/** Throws WireError: nothing is set or too much, a field is out of form, or the key is not the item's own. */
export function itemFromWire(wire: pb.Outgoing<pb.Item>): NetmapItem {
  const item = readItem(wire);
  if (itemKey(item) !== wire.key) throw new WireError('wire-key', 'key', `expected ${itemKey(item)}`);
  return item;
}

function readItem(wire: pb.Outgoing<pb.Item>): NetmapItem {
  const { service, instance, peer, policy, self } = wire;
  const set = [service, instance, peer, policy, self].filter((part) => part !== null && part !== undefined);
  if (set.length !== 1)
    throw new WireError('wire-missing', 'item', `${set.length} parts are set; expected exactly one`);
  if (service) return readService(service);
  if (instance) return readInstance(instance);
  if (peer) return readPeer(peer);
  if (policy) return readPolicy(policy);
  return readSelf(required(self, 'self'));
}

function readService(wire: pb.Outgoing<pb.ServiceItem>): ServiceItem {
  const service = enforcedServiceFromWire(required(wire.service, 'service.service'), 'service.service');
  const [wrong] = checkService(service);
  if (wrong !== undefined) throw new WireError('wire-form', wrong.field, wrong.message);
  return { type: 'service', service, address: address(wire.address, 'service.address') };
}

function readInstance(wire: pb.Outgoing<pb.InstanceItem>): InstanceItem {
  return {
    type: 'instance',
    service: serviceName(wire.service, 'instance.service'),
    ordinal: integer(wire.ordinal, 'instance.ordinal', 0, MAX_ORDINAL),
    agentId: identifier(wire.agentId, 'instance.agent_id'),
    address: address(wire.address, 'instance.address'),
    healthy: wire.healthy ?? false,
    notListening: knownPortsFromWire(wire.notListening, 'instance.not_listening'),
    ...openedFromWire(wire.opened, 'instance.opened'),
  };
}

function readPeer(wire: pb.Outgoing<pb.PeerItem>): PeerItem {
  return {
    type: 'peer',
    ...readAgent(wire, 'peer'),
    tunnelKey: bytes(wire.tunnelKey, 'peer.tunnel_key', KEY_BYTES),
    psk: bytes(wire.psk, 'peer.psk', KEY_BYTES),
    endpoints: list(wire.endpoints, 'peer.endpoints', WIRE_LIMITS.peerEndpoints, endpoint),
  };
}

/** A default that is not known denies, as does what each rule says that is not known. */
function readPolicy(wire: pb.Outgoing<pb.PolicyItem>): PolicyItem {
  const rules = list(wire.rules, 'policy.rules', LIMITS.policies, enforcedRuleFromWire);
  return {
    type: 'policy',
    defaultAction: actionCodec.knownFromWire(wire.defaultAction, 'policy.default_action') ?? 'deny',
    rules: rules.filter((rule) => rule !== undefined),
  };
}

function readSelf(wire: pb.Outgoing<pb.SelfItem>): SelfItem {
  return {
    type: 'self',
    ...readAgent(wire, 'self'),
    network: serviceName(wire.network, 'self.network'),
    controlAddresses: controlAddressesOf(wire.controlAddresses ?? []),
  };
}

/** As many as a join token names. */
const MOST_CONTROL_ADDRESSES = 8;

/** What is out of form, or too much, is passed over: the agent's own item must not be lost by it. */
function controlAddressesOf(told: readonly string[]): string[] {
  const inForm = told.filter((each) => each.length <= WIRE_LIMITS.sentence && (parseHostPort(each)?.port ?? 0) > 0);
  return [...new Set(inForm)].slice(0, MOST_CONTROL_ADDRESSES);
}

/** The item as protobuf bytes: the same item always gives the same bytes, on every agent and in control. */
export function encodeItem(item: NetmapItem): Uint8Array {
  // Encoding reads it only.
  return weft.v1.Item.encode(itemToWire(item) as pb.Item).finish();
}

/** Reads what encodeItem made, of this version or another, as from an agent's copy on disk. Throws WireError. */
export function decodeItem(encoded: Uint8Array): NetmapItem {
  return itemFromWire(wireItem(encoded));
}

/** Throws WireError: the bytes are no Item. */
export function wireItem(encoded: Uint8Array): pb.Item {
  try {
    return weft.v1.Item.decode(encoded) as pb.Item;
  } catch (error) {
    throw new WireError('wire-decode', 'item', 'not an item', error);
  }
}

/** First 8 bytes of SHA-256 of an item's encoded bytes. */
export function itemDigest(encoded: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(encoded).digest().subarray(0, 8));
}
