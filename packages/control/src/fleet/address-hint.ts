/**
 * Why an agent cannot be where it says that it is, as far as control sees. Hints and no more: who comes through a proxy, or by another
 * way than its peers take, looks as wrong as who lies, so nothing is refused by them.
 */
import { addressKind, isIPv6, isPrivate, parseHostPort } from '@weft/proto';
import type { FleetAgent } from './projection.ts';

type Seen = Pick<FleetAgent, 'agent' | 'connected' | 'observedHost' | 'report'>;

/** Empty where nothing speaks against it; of agents of one network. */
export function addressHints(fleet: Iterable<Seen>): (one: Seen) => string {
  /** Address to the host that comes from there, empty where several do. */
  const homes = new Map<string, string>();
  for (const { agent, connected, observedHost } of fleet) {
    if (!connected || addressKind(observedHost) !== 'outside') continue;
    homes.set(observedHost, homes.has(observedHost) ? '' : agent.host);
  }
  return ({ agent, observedHost, report }) => {
    if (addressKind(observedHost) !== 'outside') return '';
    const claimed = (report?.endpoints ?? []).flatMap((endpoint) => parseHostPort(endpoint)?.host ?? []);
    // A name may stand for any address, and one of the other family for the same host.
    const alike = claimed.filter((host) => addressKind(host) === 'outside' && isIPv6(host) === isIPv6(observedHost));
    if (alike.length === 0 || alike.includes(observedHost)) return '';
    for (const host of alike) {
      // The same private address is another host's in another place: only who comes from one is near enough to compare.
      if (isPrivate(host) && !isPrivate(observedHost)) continue;
      const other = homes.get(host) ?? '';
      if (other !== '' && other !== agent.host) return `${host}, which it claims, is where ${other} comes from`;
    }
    return alike.every(isPrivate) && !isPrivate(observedHost) ? 'behind NAT: it knows of private addresses alone' : '';
  };
}
