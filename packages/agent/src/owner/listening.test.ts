/** Real programs that listen beyond loopback; whoever else does on this machine is of no service here. */
import { execFileSync } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
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

/** Its port. */
async function listens(one: Caller, name: string, protocol: 'tcp' | 'udp', address: string): Promise<number> {
  return Number(await one.ask(`take ${name} ${protocol} ${address} 0`));
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
  const every = await listens(worker, 'a', 'tcp', '0.0.0.0');
  const six = await listens(worker, 'b', 'tcp', '::');
  const datagrams = await listens(worker, 'c', 'udp', '0.0.0.0');
  const near = await listens(worker, 'd', 'tcp', '127.0.0.1');
  const rules: readonly OwnerRule[] = [{ service: 'mailer', match: { command: PYTHON }, targets: [] }];
  const all = await found(rules, every, six, datagrams, near);
  expect(new Set(all)).toEqual(
    new Set([
      `mailer 0.0.0.0 ${every}/tcp ${PYTHON}`,
      `mailer 0.0.0.0 ${datagrams}/udp ${PYTHON}`,
      `mailer :: ${six}/tcp ${PYTHON}`,
    ]),
  );
  expect(await found([{ service: 'mailer', match: { command: '/no/such' }, targets: [] }], every)).toEqual([]);
});

test('another port of the program that serves the target', async () => {
  const server = program();
  const port = await listens(server, 'a', 'tcp', '127.0.0.1');
  const other = await listens(server, 'b', 'tcp', '0.0.0.0');
  const rules: readonly OwnerRule[] = [{ service: 'redis', targets: [{ host: '127.0.0.1', port, protocol: 'tcp' }] }];
  expect(await found(rules, port, other)).toEqual([`redis 0.0.0.0 ${other}/tcp ${PYTHON}`]);
});

test.skipIf(!IS_ROOT)('of a user, whichever its program', async () => {
  const worker = program(asUser(DAEMON));
  const port = await listens(worker, 'a', 'tcp', '0.0.0.0');
  expect(await found([{ service: 'mailer', match: { user: 'daemon' }, targets: [] }], port)).toEqual([
    `mailer 0.0.0.0 ${port}/tcp ${PYTHON}`,
  ]);
  expect(await found([{ service: 'mailer', match: { user: 'bin' }, targets: [] }], port)).toEqual([]);
});

test("what is this process's own is nobody's", async () => {
  const own = createServer(() => {});
  await new Promise<void>((resolve) => own.listen(0, '0.0.0.0', resolve));
  cleanup.push(() => own.close());
  const { port } = own.address() as AddressInfo;
  expect(await found([{ service: 'node', match: { command: process.execPath }, targets: [] }], port)).toEqual([]);
});
