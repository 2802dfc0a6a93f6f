/** Listening on an address that an option names. */
import type { Server } from 'node:net';
import type { Logger } from 'pino';
import type { HostPort } from '../model/endpoint.ts';
import { ListenError } from './errors.ts';

/** The answer is the address with the port that was given where 0 was asked for. Rejects with ListenError. */
export async function listen(
  server: Server,
  address: HostPort,
  option: string,
  logger: Pick<Logger, 'warn'>,
): Promise<HostPort> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => reject(new ListenError(address, option, error));
    server.once('error', failed);
    server.listen(address.port, address.host, () => {
      server.off('error', failed);
      resolve();
    });
  });
  // From here on an error is a connection that could not be taken, as for want of file descriptors: not the program's end.
  server.on('error', (error) => logger.warn({ event: 'accept-failed', option, err: error }, 'connection not taken'));
  const bound = server.address();
  return { host: address.host, port: bound !== null && typeof bound === 'object' ? bound.port : address.port };
}
