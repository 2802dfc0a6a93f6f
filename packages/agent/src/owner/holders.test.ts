import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Holders } from './holders.ts';

const proc = mkdtempSync(join(tmpdir(), 'weft-holders-'));
afterEach(() => rmSync(proc, { recursive: true }));

it('looks at no more files than it may, of all walks together', () => {
  for (const pid of [1, 2, 3]) {
    const files = join(proc, `${pid}`, 'fd');
    mkdirSync(files, { recursive: true });
    writeFileSync(join(proc, `${pid}`, 'status'), 'Uid:\t0\t0\t0\t0\nVmSize:\t1 kB\n');
    for (let file = 0; file < 10; file++) symlinkSync(`socket:[${pid}${file}]`, join(files, `${file}`));
  }
  const uid = process.getuid?.() ?? 0;
  const makers = { uid, group: () => undefined };
  const find = (inode: string, most?: number) => {
    const walk = new Holders(proc).walk(new Set([inode]), makers, most === undefined ? {} : { most });
    for (let step = walk.next(); ; step = walk.next()) if (step.done) return step.value.get(inode);
  };
  expect(find('15')).toEqual([{ pid: 1, file: '5' }]);
  // The newest process and the newest files first: 10 of each, and the list of them.
  expect(find('15', 28)).toEqual([{ pid: 1, file: '5' }]);
  expect(find('15', 27)).toBeUndefined();
});

it('looks first where it found something before, and at what was opened next', () => {
  const files = join(proc, '7', 'fd');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(proc, '7', 'status'), 'Uid:\t0\t0\t0\t0\nVmSize:\t1 kB\n');
  for (let file = 0; file < 2_000; file++) symlinkSync(`socket:[9${file}]`, join(files, `${file}`));
  const makers = { uid: process.getuid?.() ?? 0, group: () => undefined };
  const holders = new Holders(proc);
  const walk = holders.walk(new Set(['91999']), makers);
  while (!walk.next().done);
  symlinkSync('socket:[92000]', join(files, '2000'));
  expect(holders.quick(new Set(['92000']), makers, 3).get('92000')).toEqual([{ pid: 7, file: '2000' }]);
  // The kernel gave its number again.
  rmSync(join(files, '1999'));
  symlinkSync('socket:[777]', join(files, '1999'));
  expect(holders.quick(new Set(['777']), makers, 3).get('777')).toEqual([{ pid: 7, file: '1999' }]);
});

it('looks soon at what was opened longest ago, of one that has many at once', () => {
  const files = join(proc, '8', 'fd');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(proc, '8', 'status'), 'Uid:\t0\t0\t0\t0\nVmSize:\t1 kB\n');
  const makers = { uid: process.getuid?.() ?? 0, group: () => undefined };
  const holders = new Holders(proc);
  const open = (file: number, inode: string) => symlinkSync(`socket:[${inode}]`, join(files, `${file}`));
  for (let file = 0; file < 40; file++) {
    open(file, `8${file}`);
    const walk = holders.walk(new Set([`8${file}`]), makers);
    while (!walk.next().done);
  }
  for (let file = 0; file < 40; file++) {
    rmSync(join(files, `${file}`));
    open(file, `9${file}`);
    // The next one, the newest, and this.
    expect(holders.quick(new Set([`9${file}`]), makers, 3).get(`9${file}`)).toEqual([{ pid: 8, file: `${file}` }]);
  }
});
