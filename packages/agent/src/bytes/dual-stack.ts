/** Listening on every address: IPv6's `::` takes IPv4 as well, where the system has IPv6 at all. */
import { once } from 'node:events';
import net from 'node:net';

/** What the system answers where IPv6 is left out of it, or switched off. */
const WITHOUT_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/** The host to listen on: itself, or 0.0.0.0 in place of a `::` that cannot be had. */
export async function dualStackHost(host: string, create: () => net.Server = net.createServer): Promise<string> {
  if (host !== '::') return host;
  const server = create();
  try {
    server.listen({ host, port: 0, exclusive: true });
    await once(server, 'listening');
    return host;
  } catch (error) {
    // Any other failure comes again where the port is really wanted, and is told there.
    return WITHOUT_IPV6.has((error as NodeJS.ErrnoException).code ?? '') ? '0.0.0.0' : host;
  } finally {
    server.close();
  }
}
