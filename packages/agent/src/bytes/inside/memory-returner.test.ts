import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { memoryReturner, readOnlyFiles } from './memory-returner.ts';

const PAGES = { anonymous: 0, swap: 0, flags: 'rd mr mw me' };
const TEXT = '00400000-00746000 r-xp 00000000 fe:00 2785864                            /usr/lib/weft/node';

/** As the kernel tells of one mapping. */
function entry(head: string, pages: Partial<typeof PAGES> = {}): string {
  const { anonymous, swap, flags } = { ...PAGES, ...pages };
  return `${head}\nSize:               3352 kB\nRss:                3352 kB\nAnonymous:      ${anonymous} kB\nSwap:               ${swap} kB\nVmFlags: ${flags}`;
}

describe('of what is mapped, what may be let go of', () => {
  test('is code and constants, with their place and length', () => {
    const constants = '7fe111a00000-7fe111a01000 r--p 00001000 fe:00 27 /usr/lib/a library.so';
    expect(readOnlyFiles([entry(TEXT), entry(constants)].join('\n'))).toEqual([
      { address: 0x400000n, length: 0x346000n },
      { address: 0x7fe111a00000n, length: 0x1000n },
    ]);
  });

  test.each([
    ['what was written into', entry(TEXT, { anonymous: 8 })],
    ['what was written into and swapped out', entry(TEXT, { swap: 8 })],
    ['what was writable once', entry(TEXT, { flags: 'rd mr mw me ac' })],
    ['what is locked', entry(TEXT, { flags: 'rd ex mr mw me lo' })],
    ['what can be written', entry(TEXT.replace('r-xp', 'rw-p'))],
    ['what others share', entry(TEXT.replace('r-xp', 'r-xs'))],
    ['memory without a file', entry('7fe111a00000-7fe111a01000 r--p 00000000 00:00 0')],
    ['what is no file', entry('7fe111a00000-7fe111a01000 r-xp 00000000 00:00 0                            [vdso]')],
    ['what the kernel tells less of', `${TEXT}\nRss:                3352 kB`],
  ])('is not %s', (_what, smaps) => {
    expect(readOnlyFiles(smaps)).toEqual([]);
  });

  test('is more than half of a process of Node, and nothing that it wrote', () => {
    const found = readOnlyFiles(readFileSync('/proc/self/smaps', 'latin1'));
    expect(found.reduce((sum, { length }) => sum + length, 0n)).toBeGreaterThan(50n * 1024n * 1024n);
  });
});

test('it is had where there is node:ffi, and nowhere else', () => {
  const there = process.getBuiltinModule('node:ffi') !== undefined;
  expect(memoryReturner() !== undefined).toBe(there);
});
