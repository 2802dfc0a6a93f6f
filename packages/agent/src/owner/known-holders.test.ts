import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handleOf } from '../bytes/inside/known.ts';
import { KnownHolders } from './known-holders.ts';
import { ownSockets } from './own-sockets.ts';
import { readProcess } from './process.ts';

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
  holders.learn({ pid, file: '1000000', began, uid });
  expect(holders.find(inode, uid, undefined, 2)).toBeUndefined();
  expect(holders.find(inode, uid + 1, undefined, 10_000)).toBeUndefined();
  expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid, program: process.execPath });
  holders.learn({ pid, file: '1000000', began: began + 1, uid });
  expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
});

it('finds who lives behind any number of those that have ended', () => {
  const holders = new KnownHolders();
  const { fd } = handleOf(server) as { readonly fd: number };
  holders.learn({ pid, file: `${fd}`, began, uid });
  // Numbers that no kernel gives, and files that each was met by.
  for (let ended = 0; ended < 60; ended++)
    for (const file of ['5', '6', '7', '8']) holders.learn({ pid: 2 ** 30 + ended, file, began, uid });
  expect(holders.find(inode, uid, undefined, 48)).toMatchObject({ pid });
});

it('lists no more files than some hundreds, however many its user makes', () => {
  const holders = new KnownHolders();
  holders.learn({ pid, file: '1000000', began, uid });
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
    const learnHeir = (file: number) => holders.learn({ pid: heirs, file: `${file}`, began: heirBegan, uid });
    // This very process, by a number that no kernel gives: its files are listed where it is not told how many they are, and none is a socket there.
    const other = 2 ** 30;
    mkdirSync(join(proc, `${other}`));
    for (const name of readdirSync('/proc/self'))
      symlinkSync(`/proc/self/${name === 'fd' ? 'fdinfo' : name}`, join(proc, `${other}`, name));
    const learnOther = () => holders.learn({ pid: other, file: '1000000', began, uid });

    learnHeir(1_000_000);
    learnOther();
    expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
    learnHeir(3);
    learnOther();
    // Fewer than were to be looked at had they been listed.
    expect(holders.find(inode, uid, undefined, 200)).toMatchObject({ pid: heirs });
    for (const file of many.splice(0)) closeSync(file);
    holders.learn({ pid: heirs, file: '1000000', began: heirBegan + 1, uid });
    learnHeir(1_000_000);
    learnOther();
    expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid: heirs });
  } finally {
    for (const file of many) closeSync(file);
    heir.kill('SIGKILL');
    rmSync(proc, { recursive: true });
  }
});
