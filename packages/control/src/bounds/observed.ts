/** The address that a call comes from, out of what grpc-js says of its peer. */
import { isIP } from 'node:net';
import { formatHostPort, plainAddress } from '@weft/proto';

/** `10.0.0.7` for `10.0.0.7:51234`, `[::ffff:10.0.0.7]:51234` and `::ffff:10.0.0.7:51234`; empty when it is no address. */
export function observedHost(peer: string): string {
  const host = peer.slice(0, Math.max(0, peer.lastIndexOf(':'))).replace(/^\[|\]$/g, '');
  const plain = plainAddress(host);
  return isIP(plain) === 0 ? '' : plain;
}

/** HOST:PORT as people and programs read it: grpc-js writes no brackets around an address of IPv6. What is no address stays as it is. */
export function observedPeer(peer: string): string {
  const host = observedHost(peer);
  return host === '' ? peer : formatHostPort(host, Number(peer.slice(peer.lastIndexOf(':') + 1)));
}
