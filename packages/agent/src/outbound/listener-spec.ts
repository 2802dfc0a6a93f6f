/** Where this agent listens for its host's programs: each service's VIP and each instance's own address, at every declared port and those that programs in sandboxes opened. */
import { eachPort, listenerName, portsNow } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import type { Call } from './call.ts';

/** Whoever calls the address calls this. An ordinal stands for an instance's own address; on the VIP it is undefined. */
export interface ListenerSpec extends Call {
  /** Dotted quad. */
  readonly address: string;
}

/** Two listeners with the same key are the same socket with the same meaning. */
export function listenerKey(spec: ListenerSpec): string {
  return `${spec.address} ${listenerName(spec)}`;
}

/** Every listener of the netmap, by key. A worker has none. */
export function listenerSpecs(netmap: Netmap): ReadonlyMap<string, ListenerSpec> {
  const listeners = new Map<string, ListenerSpec>();
  // An agent that is no member (any more) has nobody to call.
  if (netmap.self === undefined) return listeners;
  for (const { service, address: vip, opened, instances } of netmap.services.values()) {
    if (service.kind === 'worker') continue;
    const ports = portsNow(service.ports, opened);
    const addresses = [{ address: vip, ordinal: undefined }, ...instances];
    for (const { address, ordinal } of addresses) {
      if (address === undefined) continue;
      for (const { port, protocol } of eachPort(ports)) {
        const spec = { service: service.name, ordinal, address, port, protocol };
        listeners.set(listenerKey(spec), spec);
      }
    }
  }
  return listeners;
}
