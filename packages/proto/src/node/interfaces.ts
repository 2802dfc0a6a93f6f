/** This host's own addresses, for whoever asks at any time: also while the host is short of files, or forbids to look. */
import { networkInterfaces } from 'node:os';
import { isLoopback, normalHost } from '../model/address.ts';

type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * Node's look throws where no netlink socket can be had: without a free file, or in a sandbox without AF_NETLINK. A look
 * that could not be made is no look, so the last good answer stays; before the first there is none, which is not a host
 * without interfaces.
 */
export function remembered(look: () => Interfaces): () => Interfaces | undefined {
  let seen: Interfaces | undefined;
  return () => {
    try {
      seen = look();
    } catch {
      // Asked again at the next look, by those whose work depends on it.
    }
    return seen;
  };
}

/** By interface, as Node's own; undefined until a look could be made. Never throws. */
export const hostInterfaces: () => Interfaces | undefined = remembered(networkInterfaces);

/** Whether the address is one of this host's. */
export function isOwnAddress(host: string): boolean {
  return Object.values(hostInterfaces() ?? {}).some((addresses) => addresses?.some(({ address }) => address === host));
}

/** Whether what is sent to the address stays on this host, so that it is this host's programs that take it. */
export function isOnThisHost(host: string): boolean {
  return isLoopback(host) || isOwnAddress(normalHost(host) ?? host);
}
