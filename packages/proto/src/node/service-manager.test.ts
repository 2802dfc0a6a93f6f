import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ServiceManager } from './service-manager.ts';

let dir: string;
let failures: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-notify-'));
  failures = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

/** systemd's tool, in whose place this one writes down what it was told, or does what the script says. */
function manager(more: NodeJS.ProcessEnv, script = 'echo "$1" >> "$HEARD"'): ServiceManager {
  const tool = join(dir, 'systemd-notify');
  writeFileSync(tool, `#!/bin/sh\n${script}\n`);
  chmodSync(tool, 0o755);
  const env = { PATH: `${dir}:/usr/bin:/bin`, HEARD: join(dir, 'heard'), NOTIFY_SOCKET: '/run/socket', ...more };
  return new ServiceManager(env, ({ message }) => failures.push(message));
}

const heard = () => (existsSync(join(dir, 'heard')) ? readFileSync(join(dir, 'heard'), 'utf8').split('\n') : ['']);

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !holds(); turn++) await sleep(20);
  expect(holds()).toBe(true);
}

test('tells that it is ready, that it lives for as long as its loop runs, and that it stops', async () => {
  const told = manager({ WATCHDOG_USEC: '60000', WATCHDOG_PID: String(process.pid) });
  told.ready();
  await until(() => heard().length >= 4);
  expect(heard().slice(0, 3)).toEqual(['READY=1', 'WATCHDOG=1', 'WATCHDOG=1']);
  told.stopping();
  await until(() => heard().at(-2) === 'STOPPING=1');
  const [all] = [heard()];
  await sleep(100);
  expect(heard()).toEqual(all);
  expect(failures).toEqual([]);
});

test('tells what it waits for, and how long its end may take', async () => {
  const told = manager({});
  told.ready('waiting for control');
  told.ready('serving');
  told.stopping(8_000);
  await until(() => heard().length > 6);
  expect(heard()).toEqual([
    ...['STATUS=waiting for control', 'READY=1', 'STATUS=serving', 'READY=1'],
    ...['STOPPING=1', 'EXTEND_TIMEOUT_USEC=8000000', ''],
  ]);
});

test.each([
  ['nobody asked to hear that it lives', {}],
  ['another process is to tell', { WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' }],
])('tells no more than that it is ready when %s', async (_when, env) => {
  const told = manager(env);
  told.ready();
  await until(() => heard().length > 1);
  await sleep(100);
  expect(heard()).toEqual(['READY=1', '']);
});

test('starts nothing where systemd does not run it', async () => {
  const told = manager({ NOTIFY_SOCKET: undefined, WATCHDOG_USEC: '30000' });
  told.ready();
  told.stopping();
  await sleep(100);
  expect(heard()).toEqual(['']);
});

test('says why systemd could not be told, and tries again with the next word', async () => {
  const told = manager({}, '[ -e "$HEARD" ] || { : > "$HEARD"; exit 3; }\necho "$1" >> "$HEARD"');
  told.ready();
  await until(() => failures.length === 1);
  expect(failures).toEqual(['systemd-notify: exit 3']);
  told.stopping();
  await until(() => heard().length > 1);
  expect(heard()).toEqual(['STOPPING=1', '']);
});
