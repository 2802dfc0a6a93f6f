/** What keeps a server from its port. */

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: NodeJS.ErrnoException) {
    const [code, why] = reason(cause);
    super(`cannot listen on ${address}: ${why}; choose another with ${option}`, { cause });
    this.code = code;
  }
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
