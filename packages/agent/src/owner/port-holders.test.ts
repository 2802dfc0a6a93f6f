import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { portHolders } from './port-holders.ts';

const LISTENS = `
  const server = require('node:net').createServer().listen(0, '0.0.0.0', () => console.log(server.address().port));
`;

test('who has a port is told by process, program and user, and this very agent as that', async () => {
  const other = spawn(process.execPath, ['-e', LISTENS], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void other.kill('SIGKILL'));
  const [said] = (await once(other.stdout, 'data')) as [Buffer];
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const place = (port: number, host = '127.0.0.1') => ({ protocol: 'tcp' as const, host, port });
  const { port } = server.address() as AddressInfo;
  const user = userInfo().username;
  expect(await portHolders([place(Number(said), '127.80.0.9'), place(port), place(port, '127.80.0.9')])).toEqual([
    { own: false, user, pid: other.pid, program: realpathSync(process.execPath) },
    { own: true, user, pid: process.pid, program: '' },
    undefined,
  ]);
});
