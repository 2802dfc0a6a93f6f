/** How the programs end where they do not get to their end: a sentence, a code, and never a stack. */
import { once } from 'node:events';

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeAdminToken, encodeJoinToken } from '@weft/proto';
import { afterAll, expect, test } from 'vitest';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, titled } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';

const lab = createLocalLab();
const host = await lab.host('main');
const dir = mkdtempSync(join(tmpdir(), 'weft-endings-'));
const secret = 'a'.repeat(43);
const pin = new Uint8Array(32);
const adminToken = join(dir, 'admin.token');
writeFileSync(adminToken, encodeAdminToken({ pin, secret }), { mode: 0o600 });
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

const noFull = existsSync('/dev/full') ? undefined : 'no /dev/full';

test
  .skipIf(noFull !== undefined)
  .for(['weft --help', 'weft completion bash', 'weft schema mesh', 'weft-control --help'])(
  titled('%s says in a sentence that its output has no room', noFull),
  async (command) => {
    const { code, stderr } = await host.run(['sh', '-c', `${command} > /dev/full`]);
    const [program] = command.split(' ');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `${program}: cannot write: the disk is full (ENOSPC)\n`,
    });
  },
);

test('a reader that has seen enough is no failure', async () => {
  const { code, stderr } = await host.run(['sh', '-c', '(weft schema mesh; echo $? >&2) | true']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '0\n' });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s is exit code %d', async (signal, code) => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const asking = host.start(['weft', 'services', '--control', address, '--admin-token-file', adminToken]);
  const [socket] = await once(silent, 'connection');
  asking.signal(signal);
  expect(await asking.finished()).toMatchObject({ code, stderr: 'weft: interrupted\n' });
  socket.destroy();
  silent.close();
});

test('control serves on where nobody reads its output and its log finds no room, and ends in order at a hangup', async () => {
  const port = await freePort();
  const [fifo, data] = [join(dir, 'unread'), join(dir, 'control')];
  const places = `--data ${data} --listen 127.0.0.1:${port} --dashboard off`;
  const serve = `exec weft-control serve ${places} >${fifo} 2>/dev/full`;
  const control = host.start(['sh', '-c', `mkfifo ${fifo} && { true <${fifo} & } && ${serve}`]);
  const told = { WEFT_CONTROL: `127.0.0.1:${port}`, WEFT_ADMIN_TOKEN_FILE: join(data, 'admin.token') };
  await until(
    'it answers',
    () => host.run(['weft', 'network', 'list'], { env: told }),
    ({ code }) => code === 0,
    SETTLED_MS,
  );
  // As a terminal that is closed does: its shell sends one, and the kernel another.
  control.signal('SIGHUP');
  control.signal('SIGHUP');
  expect(await control.finished()).toMatchObject({ code: 0 });
});

test('a join tells of every address of control why it is not there', async () => {
  const speaksNoTls = createServer((socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  );
  speaksNoTls.listen(0, '127.0.0.1');
  await once(speaksNoTls, 'listening');
  const closed = `127.0.0.1:${await freePort()}`;
  const plain = `127.0.0.1:${(speaksNoTls.address() as AddressInfo).port}`;
  const token = encodeJoinToken({ addresses: [closed, plain], pin, id: 't', secret });
  const ports = ['--tunnel', '127.0.0.1:0', '--dns', '127.0.0.1:0'];
  const { code, stderr } = await host.run(['weft', 'up', '--join', token, '--data', join(dir, 'agent'), ...ports]);
  speaksNoTls.close();
  expect(code).toBe(1);
  expect(stderr).toContain(`control at ${closed} cannot be reached: nobody listens there (ECONNREFUSED); `);
  expect(stderr).toContain('check that weft-control runs there');
  expect(stderr).toContain('this one leads to loopback alone');
  expect(stderr).toContain(`control at ${plain} cannot be reached: what answers there speaks no TLS, as the ports of`);
});

test('a directory that may not be made is told in a sentence', async () => {
  for (const argv of [
    ['weft-control', 'serve', '--data', '/proc/none', '--listen', '127.0.0.1:0', '--dashboard', 'off'],
    ['weft-control', 'backup', '/proc/none/file', '--data', dir],
    [
      'weft',
      'up',
      '--data',
      '/proc/none',
      '--join',
      encodeJoinToken({ addresses: ['127.0.0.1:1'], pin, id: 't', secret }),
    ],
  ]) {
    const { code, stdout, stderr } = await host.run(argv);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n'), stderr).toHaveLength(2);
    expect(stderr).not.toMatch(/\n\s+at /);
  }
});
