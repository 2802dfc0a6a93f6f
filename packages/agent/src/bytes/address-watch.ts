/** This host's own addresses as they go away: what was connected from one of them waits for answers that cannot come. */
import dgram from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { isIP, isIPv6 } from 'node:net';
import {
  type AddressRange,
  formatAddress,
  type HostPort,
  hostInterfaces,
  inRange,
  isLoopback,
  parseAddress,
  plainAddress,
} from '@weft/proto';
import { assertFreeDatagramPort } from './port-sharing.ts';

const LOOK_MS = 1_000;

/** Tells which addresses are gone since the look before, each second until the signal is aborted. */
export function watchAddresses(
  lost: (gone: ReadonlySet<string>) => void,
  signal: AbortSignal,
  look: typeof hostInterfaces = hostInterfaces,
  holds: (address: string) => Promise<boolean> = holdsAddress,
): void {
  if (signal.aborted) return;
  const known = addressesOf(look());
  const check = async () => {
    const listed = addressesOf(look());
    const missing = [...known].filter((address) => !listed.has(address));
    for (const address of listed) known.add(address);
    const held = await Promise.all(missing.map(holds));
    const gone = missing.filter((address, index) => held[index] === false && known.delete(address));
    if (gone.length > 0 && !signal.aborted) lost(new Set(gone));
  };
  const timer = setInterval(() => void check(), LOOK_MS);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

export function addressesOf(interfaces: ReturnType<typeof hostInterfaces>): Set<string> {
  return new Set(
    Object.values(interfaces ?? {}).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []),
  );
}

/**
 * Whether the address is still this host's. An interface that is down, or whose cable is out, is left out of the list with all
 * its addresses, and what was connected from them goes on when it is back.
 */
export async function holdsAddress(address: string): Promise<boolean> {
  // Where any address may be bound, a bind tells nothing.
  if (!isLoopback(address) && (await bindsForeign(address))) return isLocalAddress(address) !== false;
  try {
    await assertFreeDatagramPort(typeOf(address), address, 0);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // EINVAL: one of a link, that is bound with its interface alone. Anything else, such as no file left, tells nothing.
    return code !== 'EADDRNOTAVAIL' && code !== 'EINVAL';
  }
}

async function bindsForeign(address: string): Promise<boolean> {
  const file = `/proc/sys/net/ipv${isIPv6(address) ? 6 : 4}/ip_nonlocal_bind`;
  return (await readFile(file, 'utf8').catch(() => '0')).trim() !== '0';
}

/** The address that the kernel comes from when it calls there, at this moment. Undefined where it has no way, or `host` is a name. */
export function sourceTowards(to: HostPort): string | undefined {
  return isIP(to.host) === 0 ? undefined : (askSource(to) ?? undefined);
}

/** Any will do: nothing is sent there. */
const PORT = 9;

/**
 * Whether the address is this host's own, that of an IPv4 interface that is down too: to it the kernel comes from there. Undefined when
 * it could not be asked. Takes a tenth of a millisecond.
 */
export function isLocalAddress(address: string): boolean | undefined {
  const source = askSource({ host: address, port: PORT });
  return source === undefined ? undefined : source === address;
}

/**
 * Whether the range is this host's own, by its first, middle and last addresses, of which the first and last may be a network's: what
 * the kernel sends to an address of its own comes from there. Undefined when it could not be asked.
 */
export function isLocalRange({ base, size }: AddressRange): boolean | undefined {
  for (const address of [base + 1, base + size / 2, base + size - 2]) {
    const told = askSource({ host: formatAddress(address), port: PORT });
    if (told === undefined) return undefined;
    const source = parseAddress(told ?? '');
    if (source === undefined || !(source >>> 24 === 127 || inRange(source, { base, size }))) return false;
  }
  return true;
}

/** Null where there is no way, undefined when it could not be asked, for want of files. No packet is sent by it. */
function askSource({ host, port }: HostPort): string | null | undefined {
  // Node asks for an address by its callback before it returns, where what looks it up does, and so has the answer at once.
  const socket = dgram.createSocket({ type: typeOf(host), lookup: (address, _, found) => found(null, address, 0) });
  let bound = true;
  socket.on('error', () => undefined);
  socket.once('error', () => {
    bound = false;
  });
  try {
    socket.connect(port, host);
    if (!bound) return undefined;
    socket.remoteAddress();
    return plainAddress(socket.address().address);
  } catch {
    return bound ? null : undefined;
  } finally {
    socket.close();
  }
}

function typeOf(address: string): dgram.SocketType {
  return isIPv6(address) ? 'udp6' : 'udp4';
}
