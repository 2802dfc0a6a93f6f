/** Memory that Node has no word for, back to the system, where this Node brings node:ffi. */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { isInsideKnown } from './known.ts';
import { nodeFfi } from './node-ffi.ts';

interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: Functions };
}

interface Functions {
  malloc_trim(keep: bigint): number;
  madvise(address: bigint, length: bigint, advice: number): number;
}

const DEFINITIONS = {
  malloc_trim: { arguments: ['u64'], return: 'i32' },
  madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
};
/** From bits/mman-linux.h. */
const MADV_DONTNEED = 4;

/**
 * Gives back what the allocator keeps free, and lets go of the pages of files that are mapped to be read, Node's own above all: a
 * start touches most of it, and what runs on comes back from the page cache at its next use. Takes some milliseconds. Undefined
 * where Node has no node:ffi, does not permit it, or the system's library is not GNU's.
 */
export function memoryReturner(): (() => void) | undefined {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !isInsideKnown()) return undefined;
  try {
    // Held, lest it be closed.
    const library = nodeFfi<Ffi>()?.dlopen(null, DEFINITIONS);
    if (library === undefined) return undefined;
    return () => {
      const { malloc_trim: trim, madvise } = library.functions;
      trim(0n);
      for (const { address, length } of readOnlyFiles(ownMappings())) madvise(address, length, MADV_DONTNEED);
    };
  } catch {
    return undefined;
  }
}

/** Empty where it cannot be read, as where no file is left. */
function ownMappings(): string {
  try {
    return readFileSync('/proc/self/smaps', 'latin1');
  } catch {
    return '';
  }
}

/** Where something is mapped, in bytes. */
export interface Mapping {
  readonly address: bigint;
  readonly length: bigint;
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ \S+ [1-9]\d* +\//;

/**
 * Of /proc/PID/smaps, what holds a file's bytes and nothing else: never written to, by nobody. What the loader wrote into before it
 * made it read-only has pages of its own, in memory or swapped out, or is accounted as such (`ac`): those would be lost.
 */
export function readOnlyFiles(smaps: string): readonly Mapping[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((entry) => {
    const [, from, to] = HEAD.exec(entry) ?? [];
    if (from === undefined || to === undefined) return [];
    const untouched = /^Anonymous: +0 kB$/m.test(entry) && /^Swap: +0 kB$/m.test(entry);
    const [flags = 'ac'] = /^VmFlags:.*$/m.exec(entry) ?? [];
    if (!untouched || /\b(?:ac|wr|lo)\b/.test(flags)) return [];
    const address = BigInt(`0x${from}`);
    return [{ address, length: BigInt(`0x${to}`) - address }];
  });
}
