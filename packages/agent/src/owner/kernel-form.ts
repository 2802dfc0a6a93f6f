/** Addresses as /proc/net writes them: 32-bit words in the host's byte order, little-endian wherever Node runs but on s390x. */
import { endianness } from 'node:os';
import { groupsOf, type HostPort, type Protocol } from '@weft/proto';

const LITTLE = endianness() === 'LE';
const MAPPED_HEAD = LITTLE ? '0000000000000000FFFF0000' : '00000000000000000000FFFF';

/** Of one that takes calls: TCP_LISTEN, and for UDP TCP_CLOSE, which there means bound and not connected (net/tcp_states.h). */
export const TAKING: Readonly<Record<Protocol, string>> = { tcp: '0A', udp: '07' };

/** `0100007F:1F90` for 127.0.0.1:8080. */
export function kernelPlace({ host, port }: HostPort): string {
  return `${kernelAddress(host)}:${hex(port, 4)}`;
}

/** The same as a socket of IPv6 has it. */
export function mappedPlace(place: string): string {
  return `${MAPPED_HEAD}${place}`;
}

/** Of a dotted quad. */
export function kernelAddress(host: string): string {
  const octets = host.split('.').map((part) => hex(Number(part), 2));
  return (LITTLE ? octets.reverse() : octets).join('');
}

/** In the network's order, 8 or 32 digits, of a host in its one form. */
export function networkAddress(host: string): string {
  if (host.includes(':'))
    return groupsOf(host)
      .map((group) => group.toString(16).padStart(4, '0'))
      .join('');
  return host
    .split('.')
    .map((part) => hex(Number(part), 2))
    .join('')
    .toLowerCase();
}

/** In the network's order, from how the kernel writes it. */
export function networkOrder(kernel: string): string {
  const swapped = (word: string) => (LITTLE ? word.replace(/(..)(..)(..)(..)/, '$4$3$2$1') : word);
  return kernel.replace(/.{8}/g, swapped).toLowerCase();
}

/** Of 8 or 32 digits in the network's order, IPv6 in eight groups but for `::` and `::1`. */
export function textAddress(network: string): string {
  if (network.length === 8) return (network.match(/../g) ?? []).map((octet) => Number.parseInt(octet, 16)).join('.');
  // ::ffff:a.b.c.d is an IPv6 socket that serves one IPv4 address.
  if (network.startsWith(MAPPED)) return textAddress(network.slice(MAPPED.length));
  if (/^0{31}[01]$/.test(network)) return network.endsWith('1') ? '::1' : '::';
  return (network.match(/.{4}/g) ?? []).map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

const MAPPED = '00000000000000000000ffff';

function hex(number: number, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0');
}
