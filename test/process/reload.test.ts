/** What SIGHUP does to an agent: its file is read again, and a terminal that has gone ends it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLocalLab, titled } from '../harness/host.ts';
import { run } from '../harness/process.ts';
import { until } from '../harness/until.ts';
import { shop } from './shop.ts';

const noScript = (await run(['script', '--version'])).code === 0 ? undefined : 'script of util-linux is not installed';

test('SIGHUP has the file read again, and says what became of it in the log', async () => {
  await using cleanup = new AsyncDisposableStack();
  const { data } = await shop(cleanup.use(createLocalLab()), cleanup);
  const file = join(data.host.dir, 'weft.yaml');
  writeFileSync(file, 'services: { echo: {}\nzone: nowhere');
  data.process.signal('SIGHUP');
  await data.process.output(/"event":"not-reloaded".*"reason":"\S+weft\.yaml:\d+:\d+: /);
  await until(
    'the problem',
    () => data.problems(),
    (codes) => codes.includes('agent-file'),
  );
  writeFileSync(file, 'services: { echo: {} }\nzone: eu-1a');
  data.process.signal('SIGHUP');
  await data.process.output(/"event":"reloaded".*"keys":\[.*"zone"\]/);
  expect(await data.problems()).not.toContain('agent-file');
  expect(data.process.running).toBe(true);
});

test.skipIf(noScript !== undefined)(
  titled('a terminal that is closed ends the agent in order', noScript),
  async () => {
    await using cleanup = new AsyncDisposableStack();
    const { data } = await shop(cleanup.use(createLocalLab()), cleanup);
    await data.process.stop();
    const log = join(data.host.dir, 'agent.log');
    const { tunnel, dns, range } = data.options.shared ?? { tunnel: 0, dns: 0, range: '' };
    const places = `--tunnel 127.0.0.1:${tunnel} --dns 127.0.0.1:${dns} --vip-range ${range}`;
    const command = `exec weft up --data ${data.dataDir} ${places} 2>${log}`;
    const terminal = data.host.start(['script', '-qec', command, '/dev/null']);
    cleanup.defer(() => terminal.kill());
    await terminal.output(/weft ready/);
    // As when its window is closed: the agent has a session of its own, and hears of it by the kernel alone.
    await terminal.kill();
    await until(
      'it stops',
      () => data.host.check(['cat', log]),
      (text) => text.includes('"event":"stopping"'),
    );
    await until(
      'it has ended',
      () => data.host.run(['weft', 'status', '--data', data.dataDir]),
      ({ code, stdout }) => code === 4 && stdout.includes('no agent runs here'),
    );
  },
  60_000,
);
