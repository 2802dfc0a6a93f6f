export { createDnsServer } from './server.ts';
export type { DnsCounters, DnsOptions, DnsServer, OutsideNames } from './types.ts';
