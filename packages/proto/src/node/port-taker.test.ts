import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { portTaker } from './port-taker.ts';

const { username } = userInfo();

/** The port that another program listens on there. */
async function taken(host: string): Promise<{ readonly port: number; readonly pid: number | undefined }> {
  const listens = `const server = require('node:net').createServer().listen(0, '${host}', () => console.log(server.address().port))`;
  const other = spawn(process.execPath, ['-e', listens], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void other.kill('SIGKILL'));
  const [said] = (await once(other.stdout, 'data')) as [Buffer];
  return { port: Number(said), pid: other.pid };
}

test.each([
  ['127.0.0.1', ['127.0.0.1', '0.0.0.0', '::', 'localhost'], ['127.0.0.2', '::1']],
  ['0.0.0.0', ['127.0.0.1', '0.0.0.0', '127.9.0.1'], []],
])('another program at %s is named to who wants the port there', async (host, wanted, others) => {
  const { port, pid } = await taken(host);
  for (const one of wanted)
    expect([one, portTaker({ host: one, port }, 'tcp')]).toEqual([
      one,
      expect.stringMatching(new RegExp(`^/.* \\(process ${pid} of user ${username}\\)$`)),
    ]);
  for (const one of others) expect([one, portTaker({ host: one, port }, 'tcp')]).toEqual([one, undefined]);
  expect(portTaker({ host, port }, 'udp')).toBeUndefined();
});

test('this program itself is told as that, by either protocol', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    socket.close();
  });
  await Promise.all([once(server, 'listening'), once(socket, 'listening')]);
  const own = 'this program itself, by another of its options';
  const host = '127.0.0.1';
  expect(portTaker({ host, port: (server.address() as AddressInfo).port }, 'tcp')).toBe(own);
  expect(portTaker({ host, port: socket.address().port }, 'udp')).toBe(own);
});
