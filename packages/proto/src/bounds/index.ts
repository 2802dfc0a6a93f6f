/** What strangers may hold. */
export * from './admission.ts';
export * from './bound-connections.ts';
