/** What both programs give back of their memory, and Node's own way to functions of the system. */
export * from './housekeeping.ts';
export * from './memory-returner.ts';
export * from './node-ffi.ts';
