/** The files in which a program keeps its state, the lock on their directory, and the database that Node brings. */
export * from './directory.ts';
export * from './errors.ts';
export * from './exposure.ts';
export * from './lock.ts';
export * from './secret-file.ts';
export * from './sqlite.ts';
export * from './sync.ts';
