/** This host's own addresses as they go away: what was connected from one of them waits for answers that cannot come. */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import {
  type AddressRange,
  formatAddress,
  type HostPort,
  hostInterfaces,
  inRange,
  isShortage,
  parseAddress,
  plainAddress,
} from '@weft/proto';

const LOOK_MS = 1_000;

/** Tells which addresses are gone since the look before, each second until the signal is aborted. */
export function watchAddresses(
  lost: (gone: ReadonlySet<string>) => void,
  signal: AbortSignal,
  look: typeof hostInterfaces = hostInterfaces,
): void {
  if (signal.aborted) return;
  let held = addressesOf(look());
  const timer = setInterval(() => {
    const now = addressesOf(look());
    const gone = new Set([...held].filter((address) => !now.has(address)));
    held = now;
    if (gone.size > 0) lost(gone);
  }, LOOK_MS);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

export function addressesOf(interfaces: ReturnType<typeof hostInterfaces>): Set<string> {
  return new Set(Object.values(interfaces).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []));
}

/** The address that the kernel comes from when it calls there, at this moment. Undefined where it does not know the way. */
export async function sourceTowards(to: HostPort): Promise<string | undefined> {
  return await askSource(to).catch(() => undefined);
}

/** Any will do: nothing is sent there. */
const PORT = 9;

/**
 * Whether the range is this host's own, by its first, middle and last addresses, of which the first and last may be a network's: what
 * the kernel sends to an address of its own comes from there. Undefined when it could not be asked.
 */
export async function isLocalRange({ base, size }: AddressRange): Promise<boolean | undefined> {
  for (const address of [base + 1, base + size / 2, base + size - 2]) {
    try {
      const source = parseAddress(await askSource({ host: formatAddress(address), port: PORT }));
      if (source === undefined || !(source >>> 24 === 127 || inRange(source, { base, size }))) return false;
    } catch (cause) {
      return isShortage(cause) ? undefined : false;
    }
  }
  return true;
}

/** Rejects with what the system says. */
async function askSource({ host, port }: HostPort): Promise<string> {
  const socket = dgram.createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' });
  try {
    // No packet is sent by it.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // Node's type does not tell that a name which is not found is its argument.
      socket.connect(port, host, (error?: Error) => (error instanceof Error ? reject(error) : resolve()));
    });
    return plainAddress(socket.address().address);
  } finally {
    socket.close();
  }
}
