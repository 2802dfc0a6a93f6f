import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handleOf } from '../bytes/inside/known.ts';
import { KnownHolders } from './known-holders.ts';
import { ownSockets } from './own-sockets.ts';
import { readProcess } from './process.ts';
import { Caller } from './programs.fixture.ts';

const { pid, began = 0, uid = 0 } = { ...readProcess(process.pid), pid: process.pid };
let server: net.Server;
/** Of its socket. */
let inode = '';
beforeEach(async () => {
  const before = ownSockets();
  server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  inode = [...ownSockets()].find((one) => !before.has(one)) ?? '';
});
afterEach(() => void server.close());

it('finds a socket among all files of a process that was met by another, within so many, and none of one that began otherwise', () => {
  const holders = new KnownHolders();
  holders.learn({ pid, file: '1000000', inode: '0', began, uid });
  expect(holders.find(inode, uid, undefined, 2)).toBeUndefined();
  expect(holders.find(inode, uid + 1, undefined, 10_000)).toBeUndefined();
  expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid, program: process.execPath });
  holders.learn({ pid, file: '1000000', inode: '0', began: began + 1, uid });
  expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
  // It may be met again, and what it has of the kernel's is closed with it.
  const files = readdirSync('/proc/self/fd').length;
  holders.learn({ pid, file: '1000000', inode: '0', began, uid });
  expect(holders.find(inode, uid, undefined, 10_000)?.unit).toBe(readProcess(pid)?.unit);
  expect(readdirSync('/proc/self/fd').length).toBeGreaterThan(files);
  holders.close();
  expect(readdirSync('/proc/self/fd').length).toBe(files);
});

it('keeps as many as a part of the files allows that this process may have, and none where few are left', () => {
  const parent = { ...readProcess(process.ppid), pid: process.ppid };
  for (const [files, finds] of [
    [{ limit: 1_024, spare: true }, true],
    [{ limit: 256, spare: true }, false],
    [{ limit: 1_024, spare: false }, false],
  ] as const) {
    const holders = new KnownHolders('/proc', files);
    const { fd } = handleOf(server) as { readonly fd: number };
    holders.learn({ pid, file: `${fd}`, inode, began, uid });
    holders.learn({ pid: parent.pid, file: '5', inode: '0', began: parent.began ?? 0, uid });
    expect(holders.find(inode, uid, undefined, 100) !== undefined).toBe(finds);
    holders.close();
  }
});

it('finds who lives behind any number of those that have ended', () => {
  const holders = new KnownHolders();
  const { fd } = handleOf(server) as { readonly fd: number };
  holders.learn({ pid, file: `${fd}`, inode, began, uid });
  // Numbers that no kernel gives, and files that each was met by.
  for (let ended = 0; ended < 60; ended++)
    for (const file of ['5', '6', '7', '8']) holders.learn({ pid: 2 ** 30 + ended, file, inode: '0', began, uid });
  expect(holders.find(inode, uid, undefined, 48)).toMatchObject({ pid });
});

it('lists no more files than some hundreds, however many its user makes', () => {
  const holders = new KnownHolders();
  holders.learn({ pid, file: '1000000', inode: '0', began, uid });
  const many = Array.from({ length: 300 }, () => openSync('/dev/null', 'r'));
  try {
    expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
  } finally {
    for (const file of many) closeSync(file);
  }
  expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid });
});

it('where the kernel does not say how many files a process has, lists some hundreds at most, and no others in that look', () => {
  const proc = mkdtempSync(join(tmpdir(), 'weft-proc-'));
  const holders = new KnownHolders(proc);
  const { fd } = handleOf(server) as { readonly fd: number };
  const many = Array.from({ length: 300 }, () => openSync('/dev/null', 'r'));
  const heir = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  const { pid: heirs = 0 } = heir;
  try {
    const { began: heirBegan = 0 } = { ...readProcess(heirs) };
    symlinkSync(`/proc/${heirs}`, join(proc, `${heirs}`));
    const learnHeir = (file: number) =>
      holders.learn({ pid: heirs, file: `${file}`, inode: '0', began: heirBegan, uid });
    // This very process, by a number that no kernel gives: its files are listed where it is not told how many they are, and none is a socket there.
    const other = 2 ** 30;
    mkdirSync(join(proc, `${other}`));
    for (const name of readdirSync('/proc/self'))
      symlinkSync(`/proc/self/${name === 'fd' ? 'fdinfo' : name}`, join(proc, `${other}`, name));
    const learnOther = () => holders.learn({ pid: other, file: '1000000', inode: '0', began, uid });

    learnHeir(1_000_000);
    learnOther();
    expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
    learnHeir(3);
    learnOther();
    // Fewer than were to be looked at had they been listed.
    expect(holders.find(inode, uid, undefined, 200)).toMatchObject({ pid: heirs });
    for (const file of many.splice(0)) closeSync(file);
    holders.learn({ pid: heirs, file: '1000000', inode: '0', began: heirBegan + 1, uid });
    learnHeir(1_000_000);
    learnOther();
    expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid: heirs });
  } finally {
    holders.close();
    for (const file of many) closeSync(file);
    heir.kill('SIGKILL');
    rmSync(proc, { recursive: true });
  }
});

it('looks first at the file of who has left, which is the next that its process is given', async () => {
  const caller = new Caller();
  const holders = new KnownHolders();
  const { pid } = caller;
  const opened = async (name: string, file: string) => {
    await caller.ask(`listen ${name}`);
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${file}`))?.[1] ?? '';
  };
  try {
    const inodes = [await opened('a', '3'), await opened('b', '4'), await opened('c', '5')];
    const { began = 0, uid = 0 } = { ...readProcess(pid) };
    for (const [at, inode] of inodes.entries()) holders.learn({ pid, file: `${3 + at}`, inode, began, uid });
    const [, second = ''] = inodes;
    holders.left(pid, second);
    await caller.ask('close b');
    const next = await opened('d', '4');
    expect(next).toMatch(/^\d+$/);
    expect(holders.find(next, uid, undefined, 1)).toMatchObject({ pid });
    expect(holders.find(next, uid, undefined, 1)).toMatchObject({ pid });
    expect(holders.find(second, uid, undefined, 100)).toBeUndefined();
    await caller.end();
    expect(holders.find(inodes[0] ?? '', uid, undefined, 100)).toBeUndefined();
  } finally {
    holders.close();
    await caller.end();
  }
});
