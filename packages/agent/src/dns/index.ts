export { DnsListenError, UpstreamFormError } from './errors.ts';
export { createDnsServer } from './server.ts';
export type { DnsCounters, DnsOptions, DnsServer } from './types.ts';
