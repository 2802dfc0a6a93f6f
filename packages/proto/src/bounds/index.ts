/** What strangers may hold. */
export * from './address-group.ts';
export * from './admission.ts';
