import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { Holders } from './holders.ts';
import { Lister } from './lister.ts';
import { Processes } from './processes.ts';
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
  expect(holders.quick(new Set(['92000']), makers, { most: 3 }).get('92000')).toEqual([{ pid: 7, file: '2000' }]);
  // The kernel gave its number again.
  rmSync(join(files, '1999'));
  symlinkSync('socket:[777]', join(files, '1999'));
  expect(holders.quick(new Set(['777']), makers, { most: 3 }).get('777')).toEqual([{ pid: 7, file: '1999' }]);
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
    const found = holders.quick(new Set([`9${file}`]), makers, { most: 3 });
    expect(found.get(`9${file}`)).toEqual([{ pid: 8, file: `${file}` }]);
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

it.runIf(IS_ROOT)(
  'looks for who was handed a socket among the files of each user in turn, and says of whom it could not look at all',
  () => {
    const many = (pid: number) => Object.fromEntries(Array.from({ length: 30 }, (_, file) => [file, `${pid}${file}`]));
    chownSync(madeProcess(21, { 3: '15' }), 2, 2);
    for (const pid of [22, 23]) chownSync(madeProcess(pid, many(pid)), 1, 1);
    const find = (most: number) => {
      const walk = new Holders(proc).handed(new Set(['15']), 1, most);
      for (let step = walk.next(); ; step = walk.next()) if (step.done) return step.value;
    };
    const holder = [{ pid: 21, file: '3' }];
    expect(find(40)).toEqual({ held: new Map([['15', holder]]), unlooked: [1] });
    expect(find(100)).toEqual({ held: new Map([['15', holder]]), unlooked: [] });
  },
);

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
  const found = new Holders(proc).strangers(held, makers, [13], () => false, { most: 4 });
  expect(found.held.get('15')).toEqual([{ pid: 12, file: '4' }]);
});

it('sees what a thread holds in a table of files of its own, also where the first thread of its process has ended', async () => {
  const program = new Caller();
  const { pid } = program;
  try {
    await program.ask('no-table');
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
    // The first table of the others is empty.
    await expect.poll(seen, { timeout: 20_000 }).toMatchObject([{ pid }]);
  } finally {
    program.kill();
  }
});

/** Of the user that this runs as. */
const own = { uid: process.getuid?.() ?? 0, group: () => undefined };
/** These, by another. */
const asHeld = (inodes: readonly string[]) => new Map(inodes.map((inode) => [inode, [{ pid: 11, file: '3' }]]));
const held = asHeld(['15']);
const tableOf = (files: number) => Object.fromEntries(Array.from({ length: files }, (_, file) => [file, `9${file}`]));

it('walks past one that has more files than may be listed, in steps', () => {
  madeProcess(11, { 3: '15' });
  madeProcess(12, tableOf(3_000));
  const look = (most: number) => {
    const walk = new Holders(proc).walk(new Set(['15']), own, { most });
    for (let steps = 0; ; steps++) {
      const { done, value } = walk.next();
      if (done) return { found: value.get('15'), steps };
    }
  };
  expect(look(100).found).toEqual([{ pid: 11, file: '3' }]);
  // And at some of that one's behind all others.
  rmSync(join(proc, '11'), { recursive: true });
  madeProcess(13, Object.fromEntries(Array.from({ length: 3_000 }, (_, file) => [file, '15'])));
  expect(look(100).found).toMatchObject([{ pid: 13 }]);
  rmSync(join(proc, '13'), { recursive: true });
  madeProcess(11, { 3: '15' });
  const whole = look(4_000);
  expect(whole.found).toEqual([{ pid: 11, file: '3' }]);
  // One before each process and file, and as its files are listed.
  expect(whole.steps).toBeGreaterThan(3_002);
});

it('looks at all files of a stranger in time, also at a number that was given again', () => {
  madeProcess(11, { 3: '15' });
  const files = join(madeProcess(12, tableOf(100)), 'fd');
  const holders = new Holders(proc);
  const look = () => holders.strangers(held, own, [12], () => false).held.get('15');
  for (let looks = 0; looks < 30; looks++) expect(look()).toBeUndefined();
  rmSync(join(files, '50'));
  symlinkSync('socket:[15]', join(files, '50'));
  // Each is at 8 of 92, so all miss it less than once in 1e11 runs.
  const found = Array.from({ length: 300 }, look);
  expect(found).toContainEqual([{ pid: 12, file: '50' }]);
});

it('looks at the numbers that are likely of a stranger that has more files than are listed', () => {
  madeProcess(11, { 3: '15' });
  const files = join(madeProcess(12, tableOf(4_200)), 'fd');
  const find = (file: string) => {
    rmSync(join(files, file));
    symlinkSync('socket:[15]', join(files, file));
    const seen = new Holders(proc).strangers(held, own, [12], () => false);
    expect(seen.hidden).toEqual(new Set());
    return seen.held.get('15');
  };
  expect(find('4199')).toBeUndefined();
  expect(find('4090')).toEqual([{ pid: 12, file: '4090' }]);
});

it('looks at others in place of those that have ended', () => {
  for (const pid of [11, 12, 13, 14, 15, 16]) madeProcess(pid, { 3: `${pid}` });
  const gone = [13, 14, 15, 16];
  const holders = new Holders(proc);
  const look = () => holders.strangers(held, own, [...gone, 12], () => false, { most: 1 }).held.get('15');
  look();
  for (const pid of gone) rmSync(join(proc, `${pid}`), { recursive: true });
  symlinkSync('socket:[15]', join(proc, '12', 'fd', '9'));
  expect(look()).toEqual([{ pid: 12, file: '9' }]);
});

it('lists no more of threads than may be, and looks at a few of their tables at once, at all in time', async () => {
  const directory = madeProcess(12, {});
  const threads = Array.from({ length: 20 }, (_, at) => `${12 + at}`);
  for (const thread of threads) {
    const table = join(directory, 'task', thread, 'fd');
    mkdirSync(table, { recursive: true });
    for (let file = 0; file < 10; file++) symlinkSync(`socket:[${thread}0${file}]`, join(table, `${file}`));
  }
  const tables = (mostThreads: number, mostFiles: number) => {
    const found = [...new Processes(proc).tablesOf(12, new Lister(mostThreads), new Lister(mostFiles))];
    return found.map((table) => (table === 'hidden' ? table : table.files));
  };
  const tablesOf = (listed: number, many: number) => [
    ...Array.from({ length: listed }, () => ['9', '8', '7', '6', '5', '4', '3', '2', '1', '0']),
    ...Array.from({ length: many }, () => 'many'),
  ];
  expect(tables(20, 190)).toEqual(tablesOf(19, 0));
  expect(tables(20, 189)).toEqual(tablesOf(18, 1));
  // Nothing is listed behind what was more.
  expect(tables(20, 15)).toEqual(tablesOf(1, 18));
  // Of which the first thread may be one.
  expect([9, 10]).toContain(tables(10, 190).length);
  expect(tables(0, 190)).toEqual([]);
  madeProcess(11, { 3: '15' });
  const inodes = asHeld(threads.slice(1).map((thread) => `${thread}09`));
  const holders = new Holders(proc);
  const seen = new Set<string>();
  // As far as there is time.
  const look = () => {
    const found = holders.strangers(inodes, own, [12], () => false).held;
    expect(found.size).toBeLessThanOrEqual(8);
    for (const inode of found.keys()) seen.add(inode);
    return seen.size;
  };
  await expect.poll(look, { timeout: 20_000 }).toBe(19);
});

/** Looks in which what a seventh of them is at is missed less than once in 1e11 runs. */
const SURE = 190;

it('sees every file of two strangers that are looked at in turn', () => {
  madeProcess(11, { 3: '15' });
  const strangers = [12, 13].map((pid) => ({
    pid,
    files: Array.from({ length: 40 }, (_, file) => `${pid}0${file}`),
    seen: new Set<string>(),
  }));
  for (const { pid, files } of strangers) madeProcess(pid, Object.fromEntries(files.entries()));
  const holders = new Holders(proc);
  const look = (pid: number, inodes: readonly string[]) =>
    holders.strangers(asHeld(inodes), own, [pid], () => false).held.keys();
  // Until none is new there: each look is then at the same 8, and at 8 of 32.
  for (let looks = 0; looks < 10; looks++) for (const { pid } of strangers) look(pid, ['15']);
  for (let looks = 0; looks < SURE; looks++)
    for (const { pid, files, seen } of strangers) for (const inode of look(pid, files)) seen.add(inode);
  expect(strangers.map(({ seen }) => seen.size)).toEqual([40, 40]);
});

it('sees every thread of two strangers that are looked at in turn', async () => {
  madeProcess(11, { 3: '15' });
  const strangers = [12, 13].map((pid) => {
    const directory = madeProcess(pid, { 0: '7' });
    mkdirSync(join(directory, 'task', `${pid}`), { recursive: true });
    const inodes = Array.from({ length: 16 }, (_, at) => `${pid}0${at}`);
    for (const inode of inodes) {
      const table = join(directory, 'task', inode, 'fd');
      mkdirSync(table, { recursive: true });
      symlinkSync(`socket:[${inode}]`, join(table, '0'));
    }
    return { pid, inodes, seen: new Set<string>(), tables: 0 };
  });
  const holders = new Holders(proc);
  // Each look is at as many of the 16 tables as there is time for: by 500 of them one is missed less than once in 1e12 runs.
  while (strangers.some(({ seen, tables }) => seen.size < 16 && tables < 500)) {
    for (const one of strangers) {
      const found = holders.strangers(asHeld(one.inodes), own, [one.pid], () => false).held;
      one.tables += found.size;
      for (const inode of found.keys()) one.seen.add(inode);
      await rest(20);
    }
  }
  expect(strangers.map(({ seen }) => seen.size)).toEqual([16, 16]);
});

it('sees every process of two groups that are looked at in turn', () => {
  const groups = [0, 1].map((group) => {
    const pids = Array.from({ length: 14 }, (_, at) => 20 + 20 * group + at);
    for (const pid of pids) madeProcess(pid, { 3: `${pid}` });
    return { pids, seen: new Set<number>() };
  });
  const holders = new Holders(proc);
  const look = ({ pids, seen }: (typeof groups)[number]) => {
    const looked = (pid: number) => {
      if (pids.includes(pid)) seen.add(pid);
      return false;
    };
    holders.strangers(held, { ...own, group: () => pids }, [], looked, { most: 0 });
  };
  // Until none of them is new.
  for (let looks = 0; looks < 20; looks++) for (const group of groups) look(group);
  for (const { seen } of groups) seen.clear();
  // Each time the newest two, and two of the others.
  for (let looks = 0; looks < SURE; looks++) for (const group of groups) look(group);
  expect(groups.map(({ seen }) => seen.size)).toEqual([14, 14]);
});

it('takes nobody for hidden whose first thread has ended, however many threads it has and however much those have open', () => {
  madeProcess(11, { 3: '15' });
  const table = join(proc, 'table');
  mkdirSync(table, { recursive: true });
  const pids = [12, 13, 14];
  for (const pid of pids) {
    const directory = madeProcess(pid, {});
    for (let at = 0; at < (pid === 12 ? 4_200 : 2_100); at++) {
      const thread = join(directory, 'task', `${pid + at}`);
      mkdirSync(thread, { recursive: true });
      symlinkSync(table, join(thread, 'fd'));
    }
  }
  const look = () => {
    const seen = new Holders(proc).strangers(held, own, pids, () => false);
    expect(seen.hidden).toEqual(new Set());
    return seen.held.get('15')?.map(({ pid, file }) => `${pid} ${file}`);
  };
  symlinkSync('socket:[15]', join(table, '9'));
  expect(look()).toEqual(['12 9', '13 9', '14 9']);
  rmSync(join(table, '9'));
  for (let file = 0; file < 4_200; file++)
    symlinkSync(`socket:[${file === 4_090 ? '15' : '7'}]`, join(table, `${file}`));
  expect(look()).toEqual(['12 4090', '13 4090', '14 4090']);
});

it('remembers no more files than may be, nor for long who has ended', async () => {
  madeProcess(11, tableOf(100));
  const last = (pid: number) => writeFileSync(join(proc, 'loadavg'), `0.00 0.00 0.00 1/100 ${pid}\n`);
  last(11);
  const known = new Processes(proc, 50);
  expect(known.newcomers()).toEqual([11]);
  for (let file = 0; file < 100; file++) known.look(11, `${file}`);
  expect(known.filesSeen(11)).toBe(50);
  let pid = 11;
  const begunAndEnded = () => {
    pid += 1;
    const status = `Name:\tx\nTgid:\t${pid}\nUid:\t0\t0\t0\t0\nVmSize:\t1 kB\n`;
    writeFileSync(join(madeProcess(pid, {}), 'status'), status);
    last(pid);
    expect(known.newcomers()).toContain(pid);
    rmSync(join(proc, `${pid}`), { recursive: true });
    return known.newest.length;
  };
  for (let many = 0; many < 400; many++) begunAndEnded();
  await expect.poll(begunAndEnded, { timeout: 20_000 }).toBeLessThan(300);
});
