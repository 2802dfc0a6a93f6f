/** An address that cannot be listened on. */
export class ListenError extends Error {
  readonly code: 'taken' | 'not-permitted' | 'no-such-address' | 'failed';

  /** `option` is the one that names the address. */
  constructor(address: string, option: string, cause: Error) {
    const [code, why] = reason(cause);
    super(`cannot listen on ${address}: ${why}; choose another with ${option}`, { cause });
    this.name = 'ListenError';
    this.code = code;
  }
}

/** grpc-js hands on what the system said as text only, so the text is what there is to go by. */
function reason(cause: Error): [ListenError['code'], string] {
  if (/EADDRINUSE/.test(cause.message)) return ['taken', 'the port is taken by another process'];
  if (/EACCES/.test(cause.message)) return ['not-permitted', 'this user may not use the port'];
  if (/EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|resolution failed/i.test(cause.message)) {
    return ['no-such-address', 'it is no address of this host'];
  }
  return ['failed', cause.message];
}
