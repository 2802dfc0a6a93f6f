/** From control's items to the snapshot that the rest of the agent works with. */
import {
  type AddressRange,
  CONTROL_RANGE,
  compilePolicy,
  DENY_ALL_POLICY,
  formatAddress,
  type NetmapItem,
  shiftAddress,
} from '@weft/proto';
import type { Netmap, NetmapInstance, NetmapPeer, NetmapSelf, NetmapService } from '../words/netmap.ts';

/** Where in control's count of states a set of items stands. */
export interface Position {
  readonly timeline: string;
  readonly index: number;
  readonly revision: number;
  /** Control's proof that it told of that; left out where it gave none. */
  readonly receipt?: Uint8Array;
}

/** Before control has spoken, and after it took the membership back. */
export const NOWHERE: Position = { timeline: '', index: 0, revision: 0 };

/**
 * Makes the snapshot of a set of items: addresses shifted into the agent's own range, instances under their services.
 * An instance whose service is not among the items is left out.
 */
export function createNetmap(items: Iterable<NetmapItem>, position: Position, range: AddressRange): Netmap {
  const address = (allotted: number): string | undefined => {
    const shifted = allotted < CONTROL_RANGE.base ? undefined : shiftAddress(allotted, range);
    return shifted === undefined ? undefined : formatAddress(shifted);
  };
  const services = new Map<string, NetmapService & { readonly instances: NetmapInstance[] }>();
  const instances: NetmapInstance[] = [];
  const peers = new Map<string, NetmapPeer>();
  let self: NetmapSelf | undefined;
  // Without control's rules nothing passes.
  let policy = DENY_ALL_POLICY;
  for (const item of items) {
    switch (item.type) {
      case 'service':
        services.set(item.service.name, { service: item.service, address: address(item.address), instances: [] });
        break;
      case 'instance': {
        const { type: _, ...instance } = item;
        instances.push({ ...instance, address: address(item.address) });
        break;
      }
      case 'peer': {
        const { type: _, ...peer } = item;
        peers.set(item.agentId, { ...peer, address: address(item.address) });
        break;
      }
      case 'self': {
        const { type: _, ...own } = item;
        self = { ...own, address: address(item.address) };
        break;
      }
      case 'policy':
        policy = item;
        break;
    }
  }
  for (const instance of instances.sort((left, right) => left.ordinal - right.ordinal)) {
    services.get(instance.service)?.instances.push(instance);
  }
  const compiled = compilePolicy({ ...policy, revision: position.revision });
  const { timeline, index, revision } = position;
  return { timeline, index, revision, self, services, peers, policy: compiled };
}
