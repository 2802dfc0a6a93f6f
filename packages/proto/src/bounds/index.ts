/** What strangers may hold. */
export * from './admission.ts';
