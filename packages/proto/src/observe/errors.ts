/** What keeps a server from its port. */
import { messageOf } from '../model/errors.ts';

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: unknown) {
    const [code, why] = reason(cause);
    super(`cannot listen on ${address}: ${why}; choose another with ${option}`, { cause });
    this.code = code;
  }
}

function reason(cause: unknown): [ListenError['code'], string] {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return ['taken', 'the port is taken by another process'];
    case 'EACCES':
      return ['not-permitted', 'this user may not use the port'];
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['no-such-address', 'it is no address of this host'];
    default:
      return ['failed', messageOf(cause)];
  }
}
