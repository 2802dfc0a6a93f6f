/** Where this agent listens for its host's programs: each service's VIP and each instance's own address, at every declared port. */
import { eachPort, type Protocol } from '@weft/proto';
import type { Netmap } from '../netmap/types.ts';

export interface Place {
  readonly service: string;
  /** The one instance that the address stands for; undefined on the VIP, which stands for all. */
  readonly ordinal: number | undefined;
  /** Dotted quad. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Such as `redis:6379/tcp`, or `0.redis:6379/tcp` for an instance: how problems name the place. */
export function placeName({ service, ordinal, port, protocol }: Place): string {
  return `${ordinal === undefined ? '' : `${ordinal}.`}${service}:${port}/${protocol}`;
}

/** Two places with the same key are the same socket with the same meaning. */
export function placeKey(place: Place): string {
  return `${place.address} ${placeName(place)}`;
}

/** Every place of the netmap, by key. A worker has none. */
export function placesOf(netmap: Netmap): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  // An agent that is no member (any more) has nobody to call.
  if (netmap.self === undefined) return places;
  for (const { service, address: vip, instances } of netmap.services.values()) {
    if (service.kind === 'worker') continue;
    const addresses = [{ address: vip, ordinal: undefined }, ...instances];
    for (const { address, ordinal } of addresses) {
      if (address === undefined) continue;
      for (const { port, protocol } of eachPort(service.ports)) {
        const place = { service: service.name, ordinal, address, port, protocol };
        places.set(placeKey(place), place);
      }
    }
  }
  return places;
}
