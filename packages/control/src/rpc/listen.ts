/** Listening on an address that an option names. */
import type { Server } from 'node:net';
import { formatHostPort, type HostPort } from '@weft/proto';
import type { Logger } from 'pino';

/** An address that cannot be listened on. */
export class ListenError extends Error {
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: NodeJS.ErrnoException) {
    const [code, why] = reason(cause);
    super(`cannot listen on ${address}: ${why}; choose another with ${option}`, { cause });
    this.name = 'ListenError';
    this.code = code;
  }
}

/** The answer is the address with the port that was given where 0 was asked for. Rejects with ListenError. */
export async function listen(server: Server, address: HostPort, option: string, logger: Logger): Promise<HostPort> {
  const { host, port } = address;
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => reject(new ListenError(formatHostPort(host, port), option, error));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      resolve();
    });
  });
  // From here on an error is a connection that could not be taken, as for want of file descriptors: not control's end.
  server.on('error', (error) => logger.warn({ event: 'accept-failed', option, err: error }, 'connection not taken'));
  const bound = server.address();
  return { host, port: bound !== null && typeof bound === 'object' ? bound.port : port };
}

function reason(cause: NodeJS.ErrnoException): [ListenError['code'], string] {
  switch (cause.code) {
    case 'EADDRINUSE':
      return ['taken', 'the port is taken by another process'];
    case 'EACCES':
      return ['not-permitted', 'this user may not use the port'];
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no-such-address', 'it is no address of this host'];
    default:
      return ['failed', cause.message];
  }
}
