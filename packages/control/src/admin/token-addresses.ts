/** Where a token says control can be reached. */

import { isIPv4, isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { formatHostPort, isLoopback, leadsToLoopback, parseHostPort } from '@weft/proto';

const MAX_GUESSED = 4;

export interface AddressSources {
  /** What the request names, HOST:PORT each. */
  readonly requested: readonly string[];
  /** What `serve --advertise` names. */
  readonly advertise: readonly string[];
  /** What control listens on. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The :authority that the caller reached control by. */
  readonly authority: string;
  readonly interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>;
}

/**
 * The first of these that says anything: the request, --advertise, the listening address. A wildcard address names no
 * host; then the way the caller came, and the host's own addresses, at most four. The pin keeps a wrong guess harmless.
 */
export function tokenAddresses({ requested, advertise, listen, authority, interfaces }: AddressSources): string[] {
  if (requested.length > 0) return [...new Set(requested)];
  if (advertise.length > 0) return [...new Set(advertise)];
  if (!isWildcard(listen.host)) return [formatHostPort(listen.host, listen.port)];
  const own = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  const reachable = own.filter(({ internal, address }) => {
    return !internal && !address.startsWith('fe80:') && (isIPv4(address) || (listen.host === '::' && isIPv6(address)));
  });
  const guesses = reachable.map(({ address }) => formatHostPort(address, listen.port));
  const asked = parseHostPort(authority) ?? parseHostPort(`${authority}:${listen.port}`);
  if (asked !== undefined && asked.port > 0 && !isWildcard(asked.host)) {
    const came = formatHostPort(asked.host, asked.port);
    // A caller on this very host says nothing of how others come, but it is all there is on a host without a network.
    if (isLoopback(asked.host)) guesses.splice(MAX_GUESSED - 1, Infinity, came);
    else guesses.unshift(came);
  }
  if (guesses.length === 0) guesses.push(formatHostPort('127.0.0.1', listen.port));
  return [...new Set(guesses)].slice(0, MAX_GUESSED);
}

/**
 * What agents are told, who keep it beside their token's: only what an operator has said. A guess that holds for who asked for a token
 * may hold for nobody else, and an agent's token led it here.
 */
export function toldAddresses({ advertise, listen }: Pick<AddressSources, 'advertise' | 'listen'>): string[] {
  if (advertise.length > 0) return [...new Set(advertise)];
  const { host, port } = listen;
  return isWildcard(host) || isLoopback(host) || port === 0 ? [] : [formatHostPort(host, port)];
}

/**
 * Where tokens lead, and in words what other hosts make of that, where an operator has not said it by an address that they can follow.
 * Undefined where nothing is to be told. `grave`: control listens for other hosts, and none of them finds it.
 */
export function unsaidAddresses(
  sources: Pick<AddressSources, 'advertise' | 'listen' | 'interfaces'>,
): { readonly addresses: readonly string[]; readonly words: string; readonly grave: boolean } | undefined {
  const { advertise, listen } = sources;
  const addresses = tokenAddresses({ ...sources, requested: [], authority: '' });
  const lead = `join tokens lead to ${addresses.join(', ')}`;
  const here = isLoopback(listen.host);
  if (addresses.every(leadsToLoopback)) {
    const listens = here ? `--listen 0.0.0.0:${listen.port === 0 ? 'PORT' : listen.port} ` : '';
    const words = `${lead}, where this host's own agents alone find it; for agents of other hosts start it with ${listens}--advertise HOST:PORT`;
    return { addresses, words, grave: !here };
  }
  if (advertise.length > 0 || !isWildcard(listen.host)) return undefined;
  const words = `${lead}, for this host has these addresses; where others reach it by another, or it may move, start it with --advertise HOST:PORT`;
  return { addresses, words, grave: false };
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
