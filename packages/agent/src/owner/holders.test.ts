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
  const all = new Holders(proc).of(uid, new Set(['35']));
  expect(all).toMatchObject({ complete: true });
  expect(all.holders.get('35')).toEqual([{ pid: 3, file: '5' }]);
  expect(new Holders(proc).of(uid, new Set(['35']), { most: 15 })).toEqual({
    holders: new Map(),
    complete: false,
    looked: 15,
  });
});
