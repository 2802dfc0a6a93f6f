/** The files in which a program keeps its state, and the lock on their directory. */
export * from './directory.ts';
export * from './errors.ts';
export * from './lock.ts';
export * from './secret-file.ts';
export * from './sync.ts';
