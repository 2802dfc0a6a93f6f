/** Real programs that listen beyond loopback; whoever else does on this machine is of no service here. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { OwnerRule } from '../words/owner.ts';
import { findListening } from './listening.ts';
import { asUser, Caller, DAEMON, IS_ROOT } from './programs.fixture.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

const PYTHON = execFileSync('/usr/bin/readlink', ['-f', '/usr/bin/python3'], { encoding: 'utf8' }).trim();

function program(command?: readonly string[]): Caller {
  const caller = new Caller(command);
  cleanup.push(() => caller.end());
  return caller;
}

async function listens(one: Caller, ...words: readonly string[]): Promise<void> {
  expect(await one.ask(`take ${words.join(' ')}`)).not.toBe('');
}

/** Of these ports alone. */
async function found(rules: readonly OwnerRule[], ...ports: readonly number[]) {
  const { programs } = await findListening(rules);
  return programs
    .filter(({ port }) => ports.includes(port))
    .map(({ service, protocol, address, port, program: file }) => `${service} ${address} ${port}/${protocol} ${file}`)
    .sort();
}

test('a worker that is known by its file, on a wildcard, over IPv6 and by datagrams', async () => {
  const worker = program();
  await listens(worker, 'a', 'tcp', '0.0.0.0', '17411');
  await listens(worker, 'b', 'tcp', '::', '17412');
  await listens(worker, 'c', 'udp', '0.0.0.0', '17413');
  await listens(worker, 'd', 'tcp', '127.0.0.1', '17414');
  const rules: readonly OwnerRule[] = [{ service: 'mailer', match: { command: PYTHON }, targets: [] }];
  expect(await found(rules, 17_411, 17_412, 17_413, 17_414)).toEqual([
    `mailer 0.0.0.0 17411/tcp ${PYTHON}`,
    `mailer 0.0.0.0 17413/udp ${PYTHON}`,
    `mailer :: 17412/tcp ${PYTHON}`,
  ]);
  expect(await found([{ service: 'mailer', match: { command: '/no/such' }, targets: [] }], 17_411)).toEqual([]);
});

test('another port of the program that serves the target', async () => {
  const server = program();
  await listens(server, 'a', 'tcp', '127.0.0.1', '17415');
  await listens(server, 'b', 'tcp', '0.0.0.0', '17416');
  const rules: readonly OwnerRule[] = [
    { service: 'redis', targets: [{ host: '127.0.0.1', port: 17_415, protocol: 'tcp' }] },
  ];
  expect(await found(rules, 17_415, 17_416)).toEqual([`redis 0.0.0.0 17416/tcp ${PYTHON}`]);
});

test.skipIf(!IS_ROOT)('of a user, whichever its program', async () => {
  const worker = program(asUser(DAEMON));
  await listens(worker, 'a', 'tcp', '0.0.0.0', '17417');
  expect(await found([{ service: 'mailer', match: { user: 'daemon' }, targets: [] }], 17_417)).toEqual([
    `mailer 0.0.0.0 17417/tcp ${PYTHON}`,
  ]);
  expect(await found([{ service: 'mailer', match: { user: 'bin' }, targets: [] }], 17_417)).toEqual([]);
});

test("what is this process's own is nobody's", async () => {
  const own = createServer(() => {});
  await new Promise<void>((resolve) => own.listen(17_418, '0.0.0.0', resolve));
  cleanup.push(() => own.close());
  expect(await found([{ service: 'node', match: { command: process.execPath }, targets: [] }], 17_418)).toEqual([]);
});
