/** What strangers and peers may hold, and say in a log. */
export * from './admission.ts';
export * from './bound-connections.ts';
export * from './line-limit.ts';
