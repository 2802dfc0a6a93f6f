/** The numbers of system calls against the kernel's own headers, of both architectures, whichever this machine is. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CALL_NUMBERS } from './numbers.ts';
import { RELAY_PROGRAM } from './relay.ts';
import { SUPERVISOR } from './supervisor.ts';

/** Debian's linux-libc-dev has the second everywhere, for it is of all newer architectures. */
const HEADERS = [
  ['x86_64', 0, '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'],
  ['aarch64', 1, '/usr/include/asm-generic/unistd.h'],
] as const;

for (const [architecture, at, header] of HEADERS)
  test.skipIf(!existsSync(header))(`are those of ${architecture}`, () => {
    const lines = readFileSync(header, 'latin1').matchAll(/^#define __NR_(\w+) (\d+)$/gm);
    const told = new Map(Array.from(lines, ([, name = '', number]) => [name, Number(number)]));
    const ours = Object.fromEntries(Object.entries(CALL_NUMBERS).map(([name, numbers]) => [name, numbers[at]]));
    expect(ours).toEqual(Object.fromEntries(Object.keys(ours).map((name) => [name, told.get(name)])));
  });

test('are all that the programs call, and no more', () => {
  const both = SUPERVISOR + RELAY_PROGRAM;
  const [, words = ''] = /@number\{qw\(([^)]*)\)\}/.exec(both) ?? [];
  const called = [...Array.from(both.matchAll(/\bcall\('(\w+)'/g), ([, name = '']) => name), ...words.split(' ')];
  expect(new Set(called)).toEqual(new Set(Object.keys(CALL_NUMBERS)));
  expect(both).not.toMatch(/\bsyscall\((?!\$number\{)/);
});
