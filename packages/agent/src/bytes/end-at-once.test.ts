import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

interface Way {
  readonly how: string;
  readonly options?: readonly string[];
  readonly code?: string;
  readonly ended: readonly [number | null, string | null];
}
const ways: readonly Way[] = [
  { how: 'with a code', code: '143', ended: [143, null] },
  {
    how: 'by its signal, where Node has no node:ffi',
    options: ['--no-experimental-ffi'],
    code: '143',
    ended: [null, 'SIGTERM'],
  },
  { how: 'by a kill', ended: [null, 'SIGKILL'] },
];

test.each(ways)('a process ends $how whatever it waits for, and what it does at an exit is done', async (way) => {
  const { options = [], code, ended } = way;
  const directory = mkdtempSync(`${tmpdir()}/weft-ends-`);
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const fifo = `${directory}/fifo`;
  execFileSync('mkfifo', [fifo]);
  const server = net.createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const fixture = fileURLToPath(new URL('./end-at-once.fixture.ts', import.meta.url));
  const argv = [...options, fixture, fifo, `${port}`, ...(code === undefined ? [] : [code])];
  const child = spawn(process.execPath, argv, { stdio: 'inherit' });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  const reset = once(socket, 'error');
  await once(socket, 'data');
  const exit = once(child, 'exit');
  socket.write('end');
  expect(await exit).toEqual(ended);
  expect(await reset).toMatchObject([{ code: 'ECONNRESET' }]);
});
