/**
 * Where an agent dials, whatever its peers and control name, and whatever a name of theirs resolves to: never a VIP, where it
 * would count as a program of this host, and its own loopback or link only when control is there too.
 */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import {
  type AddressKind,
  type AddressRange,
  addressKind,
  inRange,
  normalHost,
  parseAddress,
  parseHostPort,
} from '@weft/proto';

export interface DialBounds {
  /** False for an address that is not to be dialled, and for what is none. */
  permits(address: string): boolean;
  /** Of a name, without the addresses that are not permitted. */
  readonly lookup: LookupFunction;
}

/** `range`: this agent's VIPs. `controls`: HOST:PORT where it finds control. */
export function dialBounds(range: AddressRange, controls: readonly string[]): DialBounds {
  const kinds = new Set(controls.map((control) => addressKind(normalHost(parseHostPort(control)?.host ?? '') ?? '')));
  const permits = (address: string): boolean => {
    const normal = normalHost(address);
    if (normal === undefined) return false;
    const number = parseAddress(normal);
    if (number !== undefined && inRange(number, range)) return false;
    return isPermitted(addressKind(normal), kinds);
  };
  return { permits, lookup: lookupWithin(permits) };
}

function isPermitted(kind: AddressKind, controls: ReadonlySet<AddressKind>): boolean {
  if (kind === 'loopback' || kind === 'link-local') return controls.has(kind);
  return kind === 'outside';
}

function lookupWithin(permits: (address: string) => boolean): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        done(error, '');
        return;
      }
      const permitted = addresses.filter(({ address }) => permits(address));
      const [first] = permitted;
      if (first === undefined) done(new Error(`${host} leads to no address that a peer may have`), '');
      else if (options.all === true) done(null, permitted);
      else done(null, first.address, first.family);
    });
  };
}
