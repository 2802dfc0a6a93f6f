/** This host's own addresses as they go away: what was connected from one of them waits for answers that cannot come. */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type HostPort, hostInterfaces, plainAddress } from '@weft/proto';

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

function addressesOf(interfaces: ReturnType<typeof hostInterfaces>): Set<string> {
  return new Set(Object.values(interfaces).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []));
}

/** The address that the kernel comes from when it calls there, at this moment. Undefined where it does not know the way. */
export async function sourceTowards({ host, port }: HostPort): Promise<string | undefined> {
  const socket = dgram.createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' });
  try {
    // No packet is sent by it.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // Node's type does not tell that a name which is not found is its argument.
      socket.connect(port, host, (error?: Error) => (error instanceof Error ? reject(error) : resolve()));
    });
    return plainAddress(socket.address().address);
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}
