/** Where this agent listens for its host's programs: each service's VIP and each instance's own address, at declared ports and those that programs in sandboxes opened. */
import { eachPort, listenerName } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import type { Call } from './call.ts';

/** Whoever calls the address calls this. An ordinal stands for an instance's own address; on the VIP it is undefined. */
export interface ListenerSpec extends Call {
  /** Dotted quad. */
  readonly address: string;
  /** At a port that is not declared. */
  readonly opened?: true;
}

/** Two listeners with the same key are the same socket with the same meaning. */
export function listenerKey(spec: ListenerSpec): string {
  return `${spec.address} ${listenerName(spec)}`;
}

/**
 * Every listener of the netmap, by key: all declared ports, then those that programs opened; of an instance's own address only at what that
 * instance opened. A worker has none.
 */
export function listenerSpecs(netmap: Netmap): ReadonlyMap<string, ListenerSpec> {
  const listeners = new Map<string, ListenerSpec>();
  // An agent that is no member (any more) has nobody to call.
  if (netmap.self === undefined) return listeners;
  const called = [...netmap.services.values()].filter(({ service }) => service.kind !== 'worker');
  const add = (place: Omit<ListenerSpec, 'port' | 'protocol'>, ports: Parameters<typeof eachPort>[0]) => {
    for (const { port, protocol } of eachPort(ports)) {
      const spec = { ...place, port, protocol };
      const key = listenerKey(spec);
      if (!listeners.has(key)) listeners.set(key, spec);
    }
  };
  for (const kind of ['declared', 'opened'] as const) {
    for (const { service, address: vip, opened = [], instances } of called) {
      for (const { address, ordinal, opened: own = [] } of [
        { address: vip, ordinal: undefined, opened },
        ...instances,
      ]) {
        if (address === undefined) continue;
        const place = { service: service.name, ordinal, address };
        if (kind === 'declared') add(place, service.ports);
        else add({ ...place, opened: true }, own);
      }
    }
  }
  return listeners;
}
