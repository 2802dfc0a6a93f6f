/** The units: systemd takes them, finds them guarded, and hears of the program that they run. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_RUN_SOCKET } from '../../packages/agent/src/sandbox/socket-path.ts';
import { checkout, createLocalLab, titled } from '../harness/host.ts';
import { check, Process, run } from '../harness/process.ts';
import { until } from '../harness/until.ts';
import { shop } from './shop.ts';

const UNITS = join(checkout, 'packaging/systemd');
const missing = (await run(['systemd-analyze', '--version'])).code === 0 ? undefined : 'systemd is not installed';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-units-'));
  for (const name of readdirSync(UNITS)) {
    // Where nothing is installed, the programs are the checkout's.
    const text = readFileSync(join(UNITS, name), 'utf8').replace(
      /(?<=^Exec(?:Start|Reload)=)(?=weft)/gm,
      `${checkout}/node_modules/.bin/`,
    );
    writeFileSync(join(dir, name), text);
  }
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.skipIf(missing !== undefined)(
  titled('systemd takes all units together, and calls the services guarded', missing),
  async () => {
    const units = readdirSync(UNITS).map((name) => join(dir, name));
    expect(await run(['systemd-analyze', 'verify', '--man=no', ...units])).toEqual({ code: 0, stdout: '', stderr: '' });
    for (const name of ['weft.service', 'weft-control.service', 'weft-guard.service']) {
      const told = await check(['systemd-analyze', 'security', '--offline=true', '--no-pager', join(dir, name)]);
      expect(Number(/exposure level for \S+: ([\d.]+)/.exec(told)?.[1])).toBeLessThan(3);
    }
  },
);

test('the agent listens for weft run where any user of the host finds it, and its state is its own', () => {
  const unit = readFileSync(join(UNITS, 'weft.service'), 'utf8');
  const settings = Object.fromEntries([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value]) => [key, value]));
  expect(settings).toMatchObject({ RuntimeDirectoryMode: '0755', StateDirectoryMode: '0700' });
  expect(join('/run', settings.RuntimeDirectory ?? '', 'run.sock')).toBe(SYSTEM_RUN_SOCKET);
});

test.skipIf(missing !== undefined)(
  titled('a program tells systemd that it is ready, that it lives, and that it stops', missing),
  async () => {
    const socket = join(dir, 'notify');
    await using stack = new AsyncDisposableStack();
    const start = (argv: readonly string[], env: NodeJS.ProcessEnv = {}) => {
      const started = new Process(argv, { env: { ...process.env, ...env } });
      stack.defer(() => started.kill());
      return started;
    };
    const systemd = start(['perl', join(checkout, 'test/fixtures/datagram-words.pl'), socket]);
    await systemd.output(/^listening$/m);
    const serve = ['serve', '--data', join(dir, 'control'), '--listen', '127.0.0.1:0', '--dashboard', 'off'];
    const control = start([join(checkout, 'node_modules/.bin/weft-control'), ...serve], {
      NOTIFY_SOCKET: socket,
      WATCHDOG_USEC: '600000',
    });
    await systemd.output(/^READY=1\n(?:WATCHDOG=1\n){2}/m);
    control.signal('SIGTERM');
    expect((await control.finished()).code).toBe(0);
    await systemd.output(/^STOPPING=1$/m);
    // A program that stops need not tell that it lives.
    expect(systemd.stdout).toMatch(/^listening\nREADY=1\n(?:WATCHDOG=1\n)+STOPPING=1\n$/);
  },
);

test.skipIf(missing !== undefined)(
  titled(
    'an agent that waits for control is not ended for it, and an end that takes longer than the unit says is told',
    missing,
  ),
  async () => {
    const socket = join(dir, 'notify-agent');
    await using stack = new AsyncDisposableStack();
    const systemd = new Process(['perl', join(checkout, 'test/fixtures/datagram-words.pl'), socket]);
    stack.defer(() => systemd.kill());
    await systemd.output(/^listening$/m);
    const { control, data, open } = await shop(stack.use(createLocalLab()), stack);
    await data.process.stop();
    const { tunnel, dns, range } = data.options.shared ?? { tunnel: 0, dns: 0, range: '' };
    const places = ['--tunnel', `127.0.0.1:${tunnel}`, '--dns', `127.0.0.1:${dns}`, '--vip-range', range];
    const up = ['weft', 'up', ...places, '--config', join(data.host.dir, 'weft.yaml'), '--drain', '2s'];
    const serving = data.host.start([...up, '--data', data.dataDir], { env: { NOTIFY_SOCKET: socket } });
    await systemd.output(/^STATUS=serving\nREADY=1$/m);
    // Nobody ends this one before the drain is over.
    const ask = await until(
      'a connection that stays',
      async () => {
        const asking = await open();
        return (await asking().catch(String)) === 'hello' ? asking : undefined;
      },
      (asking) => asking !== undefined,
    );
    serving.signal('SIGTERM');
    await systemd.output(/^STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000$/m);
    expect(await ask?.()).toBe('hello');
    const { code, stderr } = await serving.finished();
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /"event":"stopping","flows":1.*\n.*"event":"stopped","cut":1,"msg":"stopped; open flows that were cut: 1"/s,
    );

    // A member that knows nothing of the network, and nobody tells.
    await control.process.kill();
    rmSync(join(data.dataDir, 'netmap.json'));
    data.host.start([...up, '--data', data.dataDir], { env: { NOTIFY_SOCKET: socket } });
    await systemd.output(/^STATUS=starting, or waiting for control\nREADY=1$/m, 60_000);
  },
  120_000,
);
