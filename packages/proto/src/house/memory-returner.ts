/** Memory that Node has no word for, back to the system, where this Node brings node:ffi. */
import { readFileSync, readlinkSync } from 'node:fs';
import { nodeFfi } from './node-ffi.ts';

interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: Functions };
}

interface Functions {
  malloc_trim(keep: bigint): number;
  mallopt(option: number, value: number): number;
  madvise(address: bigint, length: bigint, advice: number): number;
}

const DEFINITIONS = {
  malloc_trim: { arguments: ['u64'], return: 'i32' },
  mallopt: { arguments: ['i32', 'i32'], return: 'i32' },
  madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
};
/** From bits/mman-linux.h. */
const MADV_DONTNEED = 4;
const NO_ADVICE = 0x7fff;
/** From malloc.h. */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
/** Bytes. What is larger has a mapping of its own; what is free at the end of an arena stays up to twice of it: the most that glibc itself goes to. */
const MAPPED_FROM = 32 * 1024 * 1024;
const KEPT = 2 * MAPPED_FROM;
const KEPT_AT_REST = 128 * 1024;

export interface MemoryReturner {
  /**
   * Gives back what the allocator keeps free, which takes a millisecond or two while each thread's allocations wait. With `files` lets go
   * of the pages of Node's own program too that are mapped to be read: a start touches most of it, and what runs on comes back from the
   * page cache at its next use.
   */
  giveBack(files: boolean): void;
  /**
   * Whether what is freed at the end of an arena goes back at once, from 128 KiB on, or as little as while there is work. `giveBack` leaves
   * these ends, all but the main thread's: V8's helping threads have a megabyte or two each there of what they compiled in.
   */
  trimAtOnce(atOnce: boolean): void;
}

/** Undefined where this Node has no node:ffi, it does otherwise than is known, or the system's library is not GNU's. */
export function memoryReturner(): MemoryReturner | undefined {
  try {
    // Held, lest it be closed.
    const library = nodeFfi<Ffi>()?.dlopen(null, DEFINITIONS);
    if (library === undefined || !passesArguments(library.functions)) return undefined;
    const { functions } = library;
    return {
      giveBack: (files) => {
        functions.malloc_trim(0n);
        if (!files) return;
        for (const { address, length } of ownProgram()) functions.madvise(address, length, MADV_DONTNEED);
      },
      trimAtOnce: (atOnce) => {
        // Once one of both is set, glibc moves neither.
        functions.mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
        functions.mallopt(M_TRIM_THRESHOLD, atOnce ? KEPT_AT_REST : KEPT);
      },
    };
  } catch {
    return undefined;
  }
}

/** Each argument gets to its place: the system takes a length of none, and neither an address within a page nor advice that there is not. */
function passesArguments({ madvise }: Functions): boolean {
  return (
    madvise(0n, 0n, MADV_DONTNEED) === 0 && madvise(1n, 0n, MADV_DONTNEED) === -1 && madvise(0n, 0n, NO_ADVICE) === -1
  );
}

/** Empty where it cannot be read, as where no file is left. */
function ownProgram(): readonly Mapping[] {
  try {
    return readOnlyProgram(readFileSync('/proc/self/smaps', 'latin1'), readlinkSync('/proc/self/exe', 'latin1'));
  } catch {
    return [];
  }
}

/** Where something is mapped, in bytes. */
export interface Mapping {
  readonly address: bigint;
  readonly length: bigint;
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ [1-9]\d* +(\/.*)$/m;
/** How much further from the program's first byte a part of it may lie than in its file: segments begin at pages of their own. */
const MOST_SHIFTED = 0x10_0000n;

/**
 * Of /proc/PID/smaps, where `program` (/proc/PID/exe) was loaded, what holds its file's bytes and nothing else. What the loader wrote
 * into before it made it read-only has pages of its own, in memory or swapped out, or is accounted as such (`ac`): those would be
 * lost. Other threads run between the reading and its use, and may load a library or write what they mapped: only what was mapped as
 * the process began stays as it was read to its end. V8 maps code of the program's elsewhere too, as long as an isolate lives.
 */
export function readOnlyProgram(smaps: string, program: string): readonly Mapping[] {
  const loaded = smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((entry) => {
    const [, from, to, access = '', offset, file] = HEAD.exec(entry.slice(0, entry.indexOf('\n'))) ?? [];
    if (from === undefined || to === undefined || offset === undefined || file !== program) return [];
    const address = BigInt(`0x${from}`);
    const bytes = { address, length: BigInt(`0x${to}`) - address };
    return [{ entry, access, bytes, origin: address - BigInt(`0x${offset}`) }];
  });
  const first = loaded.find(({ bytes, origin }) => bytes.address === origin)?.origin;
  return loaded.flatMap(({ entry, access, bytes, origin }) => {
    if (first === undefined || origin < first || origin - first >= MOST_SHIFTED) return [];
    const untouched = /^Anonymous: +0 kB$/m.test(entry) && /^Swap: +0 kB$/m.test(entry);
    const [flags = 'ac'] = /^VmFlags:.*$/m.exec(entry) ?? [];
    return /^r-[-x]p$/.test(access) && untouched && !/\b(?:ac|wr|lo)\b/.test(flags) ? [bytes] : [];
  });
}
