/** Who counts as one among strangers. */
import { isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from '../model/address.ts';

/**
 * An IPv4 address, or an IPv6 /64, which is the least that a stranger is given. An IPv4 address that is written as an IPv6 one
 * (`::ffff:10.0.0.7`) is the IPv4 one; what is no address is itself.
 */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = plainAddress(address);
  if (isIPv4(mapped)) return mapped;
  // A URL writes it in full groups, so that the first four can be told.
  const [head = '', tail] = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1).split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill('0'), ...last].slice(0, 4).join(':');
}
