import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Holders } from './holders.ts';
import { Caller, IS_ROOT } from './programs.fixture.ts';

const proc = mkdtempSync(join(tmpdir(), 'weft-holders-'));
afterEach(() => rmSync(proc, { recursive: true, force: true }));

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

/** Of a made process of root's. */
function madeProcess(pid: number, files: Readonly<Record<string, string>>): string {
  const directory = join(proc, `${pid}`);
  mkdirSync(join(directory, 'fd'), { recursive: true });
  writeFileSync(join(directory, 'status'), 'Uid:\t0\t0\t0\t0\nVmSize:\t1 kB\n');
  for (const [file, inode] of Object.entries(files)) symlinkSync(`socket:[${inode}]`, join(directory, 'fd', file));
  return directory;
}

it.runIf(IS_ROOT)('sees who else holds a socket that was another user’s when it was first met', () => {
  const uid = 1;
  chownSync(madeProcess(11, { 3: '15' }), uid, uid);
  const dropped = madeProcess(12, { 4: '15' });
  const held = new Map([['15', [{ pid: 11, file: '3' }]]]);
  const makers = { uid, group: () => undefined };
  const othersOf = (holders: Holders, kin: readonly number[] = []) =>
    holders.strangers(held, makers, kin, () => false).held.get('15');
  const [soon, late] = [new Holders(proc, 0), new Holders(proc)];
  for (const holders of [soon, late]) expect(othersOf(holders, [12])).toBeUndefined();
  chownSync(dropped, uid, uid);
  expect(othersOf(soon)).toEqual([{ pid: 12, file: '4' }]);
  // It is asked no sooner again than after some seconds, but of those that a holder descends from.
  expect(othersOf(late)).toBeUndefined();
  expect(othersOf(late, [12])).toEqual([{ pid: 12, file: '4' }]);
});

it('looks at some others behind one that has more files than may be listed', () => {
  madeProcess(11, { 3: '15' });
  madeProcess(12, { 4: '15' });
  madeProcess(13, Object.fromEntries(Array.from({ length: 100 }, (_, file) => [file, `9${file}`])));
  const held = new Map([['15', [{ pid: 11, file: '3' }]]]);
  const makers = { uid: process.getuid?.() ?? 0, group: () => undefined };
  const found = new Holders(proc).strangers(held, makers, [13], () => false, 4);
  expect(found.held.get('15')).toEqual([{ pid: 12, file: '4' }]);
});

it('sees what a thread holds in a table of files of its own, also where the first thread of its process has ended', async () => {
  const program = new Caller();
  const { pid } = program;
  try {
    const inode = await program.ask('own-table 120');
    const held = new Map([[inode, [{ pid: process.pid, file: '0' }]]]);
    const makers = { uid: process.getuid?.() ?? 0, group: () => [pid] };
    const holders = new Holders();
    const seen = () => holders.strangers(held, makers, [pid], () => false).held.get(inode);
    // As far as there is time.
    await expect.poll(seen, { timeout: 20_000 }).toMatchObject([{ pid, thread: expect.stringMatching(/^\d+$/) }]);
    const [holder] = seen() ?? [];
    if (holder !== undefined) expect(holders.holds(holder, inode)).toBe(true);
    await program.ask('end-first');
    await expect.poll(() => readdirSync(`/proc/${pid}/fd`), { timeout: 20_000 }).toEqual([]);
    expect(new Holders().strangers(held, makers, [pid], () => false).held.get(inode)).toMatchObject([{ pid }]);
  } finally {
    program.kill();
  }
});
