import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { KnownHolders } from './known-holders.ts';
import { ownSockets } from './own-sockets.ts';
import { readProcess } from './process.ts';

it('finds a socket among all files of a process that was met by another, within so many, and none of one that began otherwise', async () => {
  const before = ownSockets();
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const [inode = ''] = [...ownSockets()].filter((one) => !before.has(one));
    const { pid, began = 0, uid = 0 } = { ...readProcess(process.pid), pid: process.pid };
    const holders = new KnownHolders();
    holders.learn({ pid, file: '1000000', began, uid });
    expect(holders.find(inode, uid, undefined, 2)).toBeUndefined();
    expect(holders.find(inode, uid + 1, undefined, 10_000)).toBeUndefined();
    expect(holders.find(inode, uid, undefined, 10_000)).toMatchObject({ pid, program: process.execPath });
    holders.learn({ pid, file: '1000000', began: began + 1, uid });
    expect(holders.find(inode, uid, undefined, 10_000)).toBeUndefined();
  } finally {
    server.close();
  }
});
