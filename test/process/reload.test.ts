/** What SIGHUP does to an agent: its file is read again, and a terminal that has gone ends it. And how else it ends, or goes on. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLocalLab, titled } from '../harness/host.ts';
import { run } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { shop } from './shop.ts';

const noScript = (await run(['script', '--version'])).code === 0 ? undefined : 'script of util-linux is not installed';
const FAULTS = new URL('../fixtures/faults.ts', import.meta.url);
const cleanup = new AsyncDisposableStack();
let made: Awaited<ReturnType<typeof shop>>;
beforeAll(async () => {
  made = await shop(cleanup.use(createLocalLab()), cleanup);
});
afterAll(() => cleanup.disposeAsync());

/** `weft up` as `data` is run, for a shell. */
function upCommand(): string {
  const { options, dataDir, host } = made.data;
  const { tunnel, dns, range } = options.shared ?? { tunnel: 0, dns: 0, range: '' };
  const places = `--tunnel 127.0.0.1:${tunnel} --dns 127.0.0.1:${dns} --vip-range ${range}`;
  return `exec weft up --data ${dataDir} --config ${join(host.dir, 'echo.yaml')} --drain 0 ${places}`;
}

test('SIGHUP has the file read again, and says what became of it in the log', async () => {
  const { data } = made;
  const file = join(data.host.dir, 'weft.yaml');
  writeFileSync(join(data.host.dir, 'echo.yaml'), data.options.config ?? '');
  writeFileSync(file, 'services: { echo: {}\nzone: nowhere');
  data.process.signal('SIGHUP');
  await data.process.output(/"event":"not-reloaded".*"reason":"\S+weft\.yaml:\d+:\d+: /);
  await until(
    'the problem',
    () => data.problems(),
    (codes) => codes.includes('agent-file'),
  );
  writeFileSync(file, `${data.options.config ?? ''}\nzone: eu-1a`);
  data.process.signal('SIGHUP');
  await data.process.output(/"event":"reloaded".*"keys":\[.*"zone"\]/);
  expect(await data.problems()).not.toContain('agent-file');
  expect(data.process.running).toBe(true);
});

test('what a command carries is reset at a hangup, and where its output is closed: a service would take a part for the whole', async () => {
  const { front, port, ends } = made;
  ends.length = 0;
  const { host, dataDir } = front;
  // Its stdin stays open, and has said something.
  const connect = (name: string, reader = '') => {
    const input = join(host.dir, name);
    const begun = `mkfifo ${input} && exec 3<>${input} && echo begun >&3`;
    return host.start(['sh', '-c', `${begun} && weft connect echo:${port} --data ${dataDir} <${input} ${reader}`]);
  };
  const [hungUp, unread] = [connect('hung-up'), connect('unread', '| true')];
  const forward = host.start(['weft', 'forward', `0:echo:${port}`, '--json', '--data', dataDir]);
  const [, local] = await forward.output(/"address":"127.0.0.1","port":(\d+)/);
  const client = net.connect(Number(local), '127.0.0.1');
  client.write('hello');
  await once(client, 'data');
  const reset = once(client, 'error');
  await hungUp.output(/begun/);
  hungUp.signal('SIGHUP');
  forward.signal('SIGHUP');
  expect(await reset).toMatchObject([{ code: 'ECONNRESET' }]);
  expect((await forward.finished()).code).toBe(0);
  expect((await unread.finished()).code).toBe(0);
  await hungUp.finished();
  await until('echo sees all', () => ends.length === 3, Boolean, SETTLED_MS);
  expect(ends).toEqual(['ECONNRESET', 'ECONNRESET', 'ECONNRESET']);
});

test('SIGQUIT ends the agent at once, and resets what is open', async () => {
  const { data, open, ends } = made;
  const ask = await open();
  expect(await ask()).toBe('hello');
  ends.length = 0;
  data.process.signal('SIGQUIT');
  expect((await data.process.finished()).code).toBe(131);
  await until('echo sees it', () => ends.length === 1, Boolean, SETTLED_MS);
  expect(ends).toEqual(['ECONNRESET']);
});

test('an agent serves on where nobody reads its output and its log finds no room, and one that fails resets what is open', async () => {
  const { data, call, open, ends } = made;
  const fifo = join(data.host.dir, 'unread');
  const unread = `mkfifo ${fifo} && { true <${fifo} & }`;
  // Without node:ffi the program itself resets each, and is killed then.
  const env = { NODE_OPTIONS: `--no-experimental-ffi --import=${FAULTS}`, WEFT_TEST_FAULTS: data.host.dir };
  const agent = data.host.start(['sh', '-c', `${unread} && ${upCommand()} >${fifo} 2>/dev/full`], { env });
  await until(
    'it is there',
    () => data.problems().catch(() => undefined),
    (codes) => codes !== undefined,
    SETTLED_MS,
  );
  await until(
    'the call works',
    () => call().catch(String),
    (heard) => heard === 'hello',
    SETTLED_MS,
  );
  const ask = await open();
  expect(await ask()).toBe('hello');
  ends.length = 0;
  writeFileSync(join(data.host.dir, 'fail-0'), '');
  expect(await agent.finished()).toMatchObject({ code: null });
  await until('echo sees it', () => ends.length === 1, Boolean, SETTLED_MS);
  expect(ends).toEqual(['ECONNRESET']);
});

test.skipIf(noScript !== undefined)(
  titled('a terminal that is closed ends the agent in order', noScript),
  async () => {
    const { data } = made;
    const log = join(data.host.dir, 'agent.log');
    const terminal = data.host.start(['script', '-qec', `${upCommand()} 2>${log}`, '/dev/null']);
    cleanup.defer(() => terminal.kill());
    await terminal.output(/weft ready/);
    // As when its window is closed: the agent has a session of its own, and hears of it by the kernel alone.
    await terminal.kill();
    await until(
      'it stops',
      () => data.host.check(['cat', log]),
      (text) => text.includes('"event":"stopping"'),
      SETTLED_MS,
    );
    await until(
      'it has ended',
      () => data.host.run(['weft', 'status', '--data', data.dataDir]),
      ({ code, stdout }) => code === 4 && stdout.includes('no agent runs here'),
      SETTLED_MS,
    );
  },
  60_000,
);
