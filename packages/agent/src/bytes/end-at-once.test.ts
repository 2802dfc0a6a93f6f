import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

interface Way {
  readonly how: string;
  readonly options?: readonly string[];
  readonly code?: string;
  /** How many it may have open, all of which it then has. */
  readonly files?: number;
  readonly ended: readonly [number | null, string | null];
  /** How a connection ends that a thread has which hangs. */
  readonly thread?: 'reset' | 'end';
}
const ways: readonly Way[] = [
  { how: 'with a code', code: '143', ended: [143, null] },
  { how: 'with a code where no file is left', code: '143', files: 256, ended: [143, null] },
  {
    how: 'by its signal, where Node has no node:ffi',
    options: ['--no-experimental-ffi'],
    code: '143',
    ended: [null, 'SIGTERM'],
    thread: 'end',
  },
  { how: 'by a kill', ended: [null, 'SIGKILL'] },
];

test.each(ways)(
  'a process ends $how whatever it waits for, resets first, and does what it does at an exit',
  async (way) => {
    const { options = [], code, files, ended, thread = 'reset' } = way;
    const directory = mkdtempSync(`${tmpdir()}/weft-ends-`);
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const fifo = `${directory}/fifo`;
    const held = `${directory}/held`;
    execFileSync('mkfifo', [fifo, held]);
    const server = net.createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const fixture = fileURLToPath(new URL('./end-at-once.fixture.ts', import.meta.url));
    const argv = [...options, fixture, fifo, held, `${port}`, ...(code === undefined ? [] : [code])];
    const limited = files === undefined ? [] : ['sh', '-c', `ulimit -n ${files} && exec "$0" "$@" none-left`];
    const [program = '', ...all] = [...limited, process.execPath, ...argv];
    const child = spawn(program, all, { stdio: 'inherit' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const sockets = new Map<string, net.Socket>();
    const endings = new Map<string, string>();
    server.on('connection', (socket) => {
      const name = once(socket, 'data').then(String);
      void name.then((each) => sockets.set(each, socket));
      const end = (how: string) => void name.then((each) => endings.set(each, endings.get(each) ?? how));
      socket.on('error', () => end('reset')).on('end', () => end('end'));
    });
    await expect.poll(() => sockets.size, { timeout: 30_000 }).toBe(2);
    const exit = once(child, 'exit');
    sockets.get('main')?.write('end');
    const first = { main: 'reset', ...(thread === 'reset' && { thread }) };
    await expect.poll(() => Object.fromEntries(endings), { timeout: 30_000 }).toEqual(first);
    await writeFile(held, '.');
    expect(await exit).toEqual(ended);
    await expect.poll(() => Object.fromEntries(endings), { timeout: 10_000 }).toEqual({ main: 'reset', thread });
  },
);
