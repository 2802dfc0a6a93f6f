import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import type { ServicePlace } from '../../inbound/exposure.ts';
import { refuseOwnWay } from './own-way.ts';

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const end of cleanup.splice(0)) end();
});

/** A real process below one that came by SSH; what sudo runs has lost the variable itself. */
async function within(connection: string | undefined): Promise<number> {
  const child = spawn('sh', ['-c', 'env -i sh -c "echo \\$\\$; exec sleep 60" & wait'], {
    env: { PATH: process.env.PATH, ...(connection === undefined ? {} : { SSH_CONNECTION: connection }) },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  cleanup.push(() => void (child.pid !== undefined && process.kill(-child.pid, 'SIGKILL')));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(line);
}

const place = (address: string, port: number, protocol: ServicePlace['protocol'] = 'tcp'): ServicePlace => {
  return { service: 'git', protocol, address, port };
};

test.each<[string, ServicePlace]>([
  ['10.0.0.9 50000 10.0.0.5 22', place('0.0.0.0', 22)],
  ['10.0.0.9 50000 10.0.0.5 22', place('10.0.0.5', 22)],
  ['2001:db8::9 50000 2001:db8::5 2222', place('::', 2222)],
  ['2001:db8::9 50000 2001:db8::5 2222', place('2001:db8:0:0:0:0:0:5', 2222)],
])('%s is not closed by %j', async (connection, closes) => {
  const self = await within(connection);
  expect(() => refuseOwnWay([place('0.0.0.0', 6379), closes], '/proc', self)).toThrow(
    expect.objectContaining({ code: 'guard-own-way', message: expect.stringContaining('exposure: { allow: [') }),
  );
});

test.each<[string | undefined, ServicePlace]>([
  ['10.0.0.9 50000 10.0.0.5 22', place('0.0.0.0', 2222)],
  ['10.0.0.9 50000 10.0.0.5 22', place('::', 22)],
  ['10.0.0.9 50000 10.0.0.5 22', place('10.0.0.6', 22)],
  ['10.0.0.9 50000 10.0.0.5 22', place('0.0.0.0', 22, 'udp')],
  [undefined, place('0.0.0.0', 22)],
])('%s goes on past %j', async (connection, closes) => {
  const self = await within(connection);
  expect(() => refuseOwnWay([closes], '/proc', self)).not.toThrow();
});
