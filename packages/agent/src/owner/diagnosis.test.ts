/** What is asked where the kernel has nothing to list sockets of UDP by. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallerSocket } from '../words/owner.ts';
import { Diagnosis, PERL } from './diagnosis.ts';
import { DIAGNOSIS_PROGRAM } from './diagnosis-program.ts';
import { KernelSockets, provenKernel } from './kernel-sockets.ts';
import { UNKNOWN_PROTOCOL, withoutDatagrams } from './netlink.fixture.ts';
import { openNetlink } from './netlink-calls.ts';

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanup.splice(0).reverse()) step();
});

async function caller(): Promise<CallerSocket> {
  const datagrams = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  cleanup.push(() => datagrams.close());
  await once(datagrams, 'listening');
  const client = { host: '127.0.0.1', port: datagrams.address().port };
  return { protocol: 'udp', client, called: { host: '127.0.0.1', port: 53 } };
}

/** What the program is asked by a diagnosis that finds one caller twice, by a kernel that lists no sockets of UDP. */
async function askedOf(kernel?: KernelSockets): Promise<string> {
  const folder = mkdtempSync(`${tmpdir()}/weft-diagnosis-`);
  cleanup.push(() => rmSync(folder, { recursive: true }));
  const asked = `${folder}/asked`;
  const program = DIAGNOSIS_PROGRAM.replace('[17, ', `[${UNKNOWN_PROTOCOL}, `).replace(
    '(defined(my $line = <STDIN>)) {',
    `$&open(my $asked, '>>', '${asked}') or die; print $asked $line; close $asked;`,
  );
  const diagnosis = new Diagnosis(undefined, 60_000, kernel, program);
  cleanup.push(() => diagnosis.close());
  const one = await caller();
  for (let times = 0; times < 2; times++)
    expect(await diagnosis.callers([one])).toMatchObject([[{ uid: process.geteuid?.() }]]);
  return existsSync(asked) ? readFileSync(asked, 'utf8') : '';
}

describe.skipIf(!existsSync(PERL))('a caller of UDP where the kernel lists no such sockets', () => {
  it('is found in the tables, and the program is asked for it once', async () => {
    expect(await askedOf()).toMatch(/^u [0-9a-f]{4}\n$/);
  });

  const netlink = openNetlink(4);
  it.skipIf(netlink === undefined)(
    'is found in the tables, and not asked for of the program where this thread asks',
    async () => {
      if (netlink !== undefined) expect(await askedOf(new KernelSockets(withoutDatagrams(netlink)))).toBe('');
    },
  );
});

const later = openNetlink(4);
later?.close();

it.skipIf(later === undefined)('is asked by its thread once that is proven, in place of what cannot ask', async () => {
  let tables = 0;
  const byTables = async (callers: readonly CallerSocket[]) => {
    tables += 1;
    return callers.map(() => []);
  };
  const diagnosis = new Diagnosis({ callers: byTables, listeners: async () => [] }, undefined, undefined, 'exit 1;');
  cleanup.push(() => diagnosis.close());
  const server = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  cleanup.push(() => socket.destroy());
  await once(socket, 'connect');
  const host = '127.0.0.1';
  const one = { protocol: 'tcp', client: { host, port: socket.localPort ?? 0 }, called: { host, port } } as const;
  expect(await diagnosis.callers([one])).toEqual([[]]);
  expect(tables).toBe(1);
  const kernel = await provenKernel();
  if (kernel === undefined) throw new Error('there is none');
  diagnosis.take(kernel);
  expect(await diagnosis.callers([one])).toMatchObject([[{ uid: process.geteuid?.() }]]);
  expect(tables).toBe(1);
});
