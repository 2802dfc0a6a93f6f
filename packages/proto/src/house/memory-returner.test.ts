import { readFileSync, readlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { memoryReturner, readOnlyProgram } from './memory-returner.ts';

const PAGES = { anonymous: 0, swap: 0, flags: 'rd mr mw me' };
const PROGRAM = '/usr/lib/weft/node';
const FIRST = `00400000-00401000 r--p 00000000 fe:00 2785864                            ${PROGRAM}`;
const TEXT = `00402000-00748000 r-xp 00001000 fe:00 2785864                            ${PROGRAM}`;

/** As the kernel tells of one mapping. */
function entry(head: string, pages: Partial<typeof PAGES> = {}): string {
  const { anonymous, swap, flags } = { ...PAGES, ...pages };
  return `${head}\nSize:               3352 kB\nRss:                3352 kB\nAnonymous:      ${anonymous} kB\nSwap:               ${swap} kB\nVmFlags: ${flags}`;
}

describe('of what is mapped, what may be let go of', () => {
  const head = { address: 0x400000n, length: 0x1000n };

  test('is the code and the constants that the process began with, with their place and length', () => {
    expect(readOnlyProgram([entry(FIRST), entry(TEXT)].join('\n'), PROGRAM)).toEqual([
      head,
      { address: 0x402000n, length: 0x346000n },
    ]);
  });

  test.each([
    ['what was written into', entry(TEXT, { anonymous: 8 })],
    ['what was written into and swapped out', entry(TEXT, { swap: 8 })],
    ['what was writable once', entry(TEXT, { flags: 'rd mr mw me ac' })],
    ['what is locked', entry(TEXT, { flags: 'rd ex mr mw me lo' })],
    // The loader writes into it a moment later.
    ['a library', entry('7fe111a00000-7fe111a01000 r--p 00000000 fe:00 27 /usr/lib/a library.so')],
    // V8's copy for one isolate, which goes with it, as another thread's end may be.
    ['what was mapped of the program later', entry(TEXT.replace('00402000-00748000', '7fe111a00000-7fe111d46000'))],
    ['a program that took its place', entry(TEXT.replace('fe:00', 'fe:01').replace(PROGRAM, `${PROGRAM}.new`))],
    ['what can be written', entry(TEXT.replace('r-xp', 'rw-p'))],
    ['what others share', entry(TEXT.replace('r-xp', 'r-xs'))],
    ['memory without a file', entry('7fe111a00000-7fe111a01000 r--p 00000000 00:00 0')],
    ['what is no file', entry('7fe111a00000-7fe111a01000 r-xp 00000000 00:00 0                            [vdso]')],
    ['what the kernel tells less of', `${TEXT}\nRss:                3352 kB`],
  ])('is not %s', (_what, smaps) => {
    expect(readOnlyProgram([entry(FIRST), smaps].join('\n'), PROGRAM)).toEqual([head]);
  });

  test('is nothing where the program was not found', () => {
    expect(readOnlyProgram(entry(TEXT), PROGRAM)).toEqual([]);
    expect(readOnlyProgram([entry(FIRST), entry(TEXT)].join('\n'), '/usr/lib/weft/node (deleted)')).toEqual([]);
  });

  test('is more than half of a process of Node, and nothing that it wrote', () => {
    const smaps = readFileSync('/proc/self/smaps', 'latin1');
    const found = readOnlyProgram(smaps, readlinkSync('/proc/self/exe'));
    expect(found.reduce((sum, { length }) => sum + length, 0n)).toBeGreaterThan(50n * 1024n * 1024n);
    const own = [...smaps.matchAll(/^([0-9a-f]+)-.* r.*\n(?:(?![0-9a-f]+-).*\n)*?Anonymous: +[1-9]/gm)];
    expect(own.length).toBeGreaterThan(1);
    const places = new Set(found.map(({ address }) => address));
    expect(own.filter(([, at]) => places.has(BigInt(`0x${at}`)))).toEqual([]);
  });
});

test('it is had where Node brings node:ffi, and takes nothing that is in use', () => {
  const memory = memoryReturner();
  expect(memory !== undefined).toBe(process.getBuiltinModule('node:ffi') !== undefined);
  const words = Array.from({ length: 1_000 }, (_, at) => `word ${at}`);
  for (const files of [false, true]) memory?.giveBack(files);
  expect(words.join().length).toBe(words.reduce((sum, word) => sum + word.length, words.length - 1));
});

/** A thread that takes memory of its arena and frees it, each time it is told how much, and says where it was. */
const TAKES = `
const { workerData, parentPort } = require('node:worker_threads');
const { functions } = process.getBuiltinModule('node:ffi').dlopen(null, {
  malloc: { arguments: ['u64'], return: 'u64' },
  memset: { arguments: ['u64', 'i32', 'u64'], return: 'u64' },
  free: { arguments: ['u64'], return: 'void' },
});
const [turn, at] = [new Int32Array(workerData), new BigUint64Array(workerData, 8)];
for (;;) {
  Atomics.wait(turn, 0, 0);
  const size = at[0];
  if (size === 0n) break;
  at[0] = functions.malloc(size);
  functions.memset(at[0], 1, size);
  functions.free(at[0]);
  Atomics.store(turn, 0, 0);
  Atomics.notify(turn, 0);
}
`;

/** KiB that are there of what is mapped where this lies. */
function residentAround(address: bigint): number {
  const entry = readFileSync('/proc/self/smaps', 'latin1')
    .split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)
    .find((each) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(each) ?? [];
      return BigInt(`0x${from}`) <= address && address < BigInt(`0x${to}`);
    });
  return Number(/^Rss: +(\d+)/m.exec(entry ?? '')?.[1]);
}

test.skipIf(process.getBuiltinModule('node:ffi') === undefined)(
  'what another thread frees at the end of its arena goes at once where that is asked for, and stays at other times',
  async () => {
    const memory = memoryReturner();
    const shared = new SharedArrayBuffer(16);
    const [turn, at] = [new Int32Array(shared), new BigUint64Array(shared, 8)];
    const worker = new Worker(TAKES, { eval: true, workerData: shared, execArgv: ['--no-warnings'] });
    const go = (size: bigint): void => {
      at[0] = size;
      Atomics.store(turn, 0, 1);
      Atomics.notify(turn, 0);
    };
    /** Answers what the thread keeps then. */
    const take = (size: bigint): number => {
      go(size);
      Atomics.wait(turn, 0, 1);
      return residentAround(at[0] ?? 0n);
    };
    for (let again = 0; again < 2; again++) {
      memory?.trimAtOnce(false);
      expect(take(3n << 20n)).toBeGreaterThan(2_500);
      memory?.giveBack(false);
      expect(residentAround(at[0] ?? 0n)).toBeGreaterThan(2_500);
      memory?.trimAtOnce(true);
      expect(take(100n << 10n)).toBeLessThan(1_500);
    }
    go(0n);
    await new Promise((resolve) => worker.once('exit', resolve));
  },
);
