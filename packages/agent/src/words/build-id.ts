/** Tells one build of the programs from another: a hash of its sources, which a build writes here (packaging/threads.ts). Source is not told apart. */
export const BUILD: string = 'source';
