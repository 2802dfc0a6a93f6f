/**
 * Names under 127.in-addr.arpa: whose address a flow comes from. The whole of 127/8 is answered here and never forwarded
 * (RFC 6303): no other resolver can know who is behind a loopback address, nor should it learn that one was seen. The same
 * holds for what lies within a VIP range elsewhere, in zones of whole octets: 80.100.in-addr.arpa of 100.80.0.0/12.
 */
import { type AddressRange, inRange, parseAddress } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import { TTL } from './answer.ts';
import { ZONE } from './forward-zone.ts';
import { empty, type Node, nothing } from './node.ts';

const ARPA_LABELS = 2;

/** How many of a name's last labels are those of the reverse zone of ours that it lies in; undefined when in none. */
export function reverseZone(labels: readonly string[], range: AddressRange): number | undefined {
  if (labels.at(-1) !== 'arpa' || labels.at(-2) !== 'in-addr') return undefined;
  const octets = labels.slice(0, -ARPA_LABELS).toReversed().slice(0, 4);
  if (octets[0] === '127') return ARPA_LABELS + 1;
  // All that a name such as 80.100.in-addr.arpa stands above must be ours.
  const first = parseAddress([...octets, '0', '0', '0'].slice(0, 4).join('.'));
  const last = first === undefined ? 0 : first + 256 ** (4 - octets.length) - 1;
  if (first === undefined || octets.length === 0 || !inRange(first, range) || !inRange(last, range)) return undefined;
  const prefix = 32 - Math.log2(range.size);
  return ARPA_LABELS + Math.min(3, Math.ceil(prefix / 8));
}

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
    const [first = '', second = '', third = ''] = address.split('.');
    parts.add(`${first}.${second}`).add(`${first}.${second}.${third}`);
  }
  return { names, parts };
}

/** What stands at these labels, `in-addr.arpa` left off, in the order of the name: last octet first. More than the zone's own. */
export function findReverse(index: ReverseIndex, labels: readonly string[]): Node {
  const address = labels.toReversed().join('.');
  if (labels.length < 4) return index.parts.has(address) ? empty : nothing;
  const name = index.names.get(address);
  return name === undefined ? nothing : { at: 'records', records: [{ type: 'PTR', ttl: TTL, data: name }] };
}
