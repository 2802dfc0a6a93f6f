export { createDnsServer } from './server.ts';
export type { DnsCounters, DnsOptions, DnsServer } from './types.ts';
