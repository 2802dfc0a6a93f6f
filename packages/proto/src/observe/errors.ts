/** What keeps a server from its port. */
import { messageOf } from '../model/errors.ts';

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: unknown) {
    const [code, why] = reason(address, cause);
    super(`cannot listen on ${address}: ${why}${code === 'not-permitted' ? '' : ';'} choose another with ${option}`, {
      cause,
    });
    this.code = code;
  }
}

function reason(address: string, cause: unknown): [ListenError['code'], string] {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return ['taken', 'the port is taken by another process'];
    case 'EACCES':
      return ['not-permitted', notPermitted(Number(address.slice(address.lastIndexOf(':') + 1)))];
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no-such-address', 'it is no address of this host'];
    default:
      return ['failed', messageOf(cause)];
  }
}

/** Why is the kernel's affair, and so is the way out. */
function notPermitted(port: number): string {
  return (
    `this user may not use port ${port}; as root, once: sysctl -w net.ipv4.ip_unprivileged_port_start=${port}, or give the program ` +
    'CAP_NET_BIND_SERVICE (AmbientCapabilities= in its unit); or'
  );
}
