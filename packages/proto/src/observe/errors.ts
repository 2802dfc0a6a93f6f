/** What keeps a server from its port. */
import { formatHostPort, type HostPort } from '../model/endpoint.ts';
import { messageOf } from '../model/errors.ts';
import type { Protocol } from '../model/mesh.ts';
import { portTaker } from '../node/port-taker.ts';

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: HostPort, option: string, cause: unknown, protocol: Protocol = 'tcp') {
    const [code, why] = reason(address, cause, protocol);
    super(
      `cannot listen on ${formatHostPort(address.host, address.port)}: ${why}${code === 'not-permitted' ? '' : ';'} choose another with ${option}`,
      {
        cause,
      },
    );
    this.code = code;
  }
}

function reason(address: HostPort, cause: unknown, protocol: Protocol): [ListenError['code'], string] {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return ['taken', `the port is taken by ${portTaker(address, protocol) ?? 'another process'}`];
    case 'EACCES':
      return ['not-permitted', notPermitted(address.port)];
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
