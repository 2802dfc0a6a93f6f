/**
 * Names under 127.in-addr.arpa: whose address a flow comes from. The whole of 127/8 is answered here and never forwarded
 * (RFC 6303): no other resolver can know who is behind a loopback address, nor should it learn that one was seen.
 */
import type { Netmap } from '../words/netmap.ts';
import { TTL } from './answer.ts';
import { ZONE } from './forward-zone.ts';
import { empty, type Node, nothing } from './node.ts';

export const REVERSE_ZONE = '127.in-addr.arpa';

/** Names by address, and each part of an address that leads to one (an empty node between zone and name). */
export interface ReverseIndex {
  readonly names: ReadonlyMap<string, string>;
  readonly parts: ReadonlySet<string>;
}

/** Built once a netmap, at the first question that needs it: the cost is a pass over every address. */
export function indexAddresses(netmap: Netmap): ReverseIndex {
  const names = new Map<string, string>([['127.0.0.1', 'localhost']]);
  const parts = new Set<string>();
  const add = (address: string | undefined, name: string): void => {
    if (address !== undefined) names.set(address, name);
  };
  for (const peer of netmap.peers.values()) add(peer.address, `${peer.host}.host.${ZONE}`);
  if (netmap.self !== undefined) add(netmap.self.address, `${netmap.self.host}.host.${ZONE}`);
  for (const { service, address, instances } of netmap.services.values()) {
    if (service.kind !== 'worker') {
      for (const instance of instances) add(instance.address, `${instance.ordinal}.${service.name}.${ZONE}`);
    }
    // A worker's flows come from its source address, so that alone of a worker has a PTR; the name has no A.
    add(address, `${service.name}.${ZONE}`);
  }
  for (const address of names.keys()) {
    const [, second = '', third = ''] = address.split('.');
    parts.add(second).add(`${second}.${third}`);
  }
  return { names, parts };
}

/** What stands at these labels, `127.in-addr.arpa` left off, in the order of the name: last octet first. At least one. */
export function findReverse(index: ReverseIndex, labels: readonly string[]): Node {
  const address = labels.toReversed().join('.');
  if (labels.length < 3) return index.parts.has(address) ? empty : nothing;
  const name = index.names.get(`127.${address}`);
  return name === undefined ? nothing : { at: 'records', records: [{ type: 'PTR', ttl: TTL, data: name }] };
}
