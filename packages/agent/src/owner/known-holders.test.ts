import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
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
