import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { run } from '../harness/process.ts';
import { parseArguments } from './arguments.ts';
import { allPeers } from './peers/index.ts';
import { Stage } from './stage.ts';
import { askVersion } from './versions.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'weft-bench-')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, says: string, code = 0): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho '${says}' >&2\nexit ${code}\n`);
  chmodSync(path, 0o755);
  return path;
}

const nebula = program('nebula', 'Version: 1.11.0');
const haproxy = program('haproxy', 'HAProxy version 3.2.1-1+deb13u1 2026/01/01 - https://haproxy.org/', 1);
writeFileSync(join(folder, 'plain'), '');

test.each([
  ['nebula', `nebula=${nebula}`, `--peer nebula=${nebula}: ${folder}/nebula-cert is not there`],
  ['haproxy', 'haproxy=/nowhere/haproxy', '/nowhere/haproxy is not there'],
  ['haproxy', `haproxy=${folder}`, `${folder} is no file`],
  ['haproxy', `haproxy=${folder}/plain`, `${folder}/plain may not be executed`],
  ['haproxy', 'haproxy', 'expected haproxy=PATH'],
  ['haproxy', 'haproxy=', 'expected haproxy=PATH'],
  ['boringtun', 'boringtun=/bin/true', 'boringtun takes no path; these do: nebula, wireguard-go, stunnel4'],
  ['tailscaled', 'tailscaled=/bin/true', 'a control server has given it keys'],
  ['ztunnel', 'ztunnel=/bin/true', 'an Istio control plane'],
  ['ziti', 'ziti=/bin/true', 'a controller and a router'],
])('--peer of %s, %s, is wrong usage, and says what is', (_name, setting, message) => {
  expect(() => parseArguments(['--peer', setting])).toThrow(message);
});

test('a peer that was given twice is wrong usage', () => {
  const setting = `haproxy=${haproxy}`;
  expect(() => parseArguments(['--peer', setting, '--peer', setting])).toThrow('a path already');
});

test('the program at the path is what is asked for its version, and counts as installed', async () => {
  program('nebula-cert', '');
  const { programs } = parseArguments(['--peer', `nebula=${nebula}`, '--peer', `haproxy=${haproxy}`]);
  expect([...programs]).toEqual([
    ['nebula', nebula],
    ['nebula-cert', join(folder, 'nebula-cert')],
    ['haproxy', haproxy],
  ]);
  await using ending = new AsyncDisposableStack();
  const stage = await Stage.create(true, programs, (lab) => void ending.use(lab));
  const peers = allPeers({ workers: undefined, before: undefined });
  const version = (name: string) => peers.find((peer) => peer.name === name)?.version(stage);
  expect(await version('haproxy')).toBe('3.2.1');
  expect(await version('nebula')).toBe('1.11.0');
  expect(stage.installed('nebula-cert')).toBe(true);
});

test('a program that tells no version, or does not start, is an error that says so', async () => {
  const silent = program('silent', 'what?', 3);
  await expect(askVersion({ run }, [silent, '-v'])).rejects.toThrow(`${silent} -v: told no version: exit 3, what?`);
  await expect(askVersion({ run }, ['/nowhere/x', '-v'])).rejects.toThrow('told no version: exit 127');
});
