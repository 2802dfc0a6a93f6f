/** docs/guides/first-hour.md, typed as it stands on four hosts that have the package and nothing else of Weft. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyVip, type GuideCommands, readGuide } from '../harness/guide.ts';
import {
  checkout,
  createNamespaceLab,
  type Host,
  hostsMissing,
  madePackage,
  type NamespaceLab,
  PACKAGE,
  titled,
} from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { POSTGRES, postgres, rabbitEnvironment } from './world.ts';

const PROGRAMS = ['redis-server', 'redis-cli', 'amqp-publish', 'curl', '/usr/lib/rabbitmq/bin/rabbitmq-server'];
const missing = await hostsMissing(...PROGRAMS, `${POSTGRES}/initdb`, 'psql');

const HOSTS = ['main', 'data-1', 'web-1', 'work-1', 'main-2'] as const;

/** What tells that a program which stays is there. */
const READY: Readonly<Record<string, RegExp>> = {
  'redis-server': /Ready to accept connections/,
  'weft-control': /weft-control ready/,
  weft: /weft ready/,
};

/** The package in place of the checkout, and what a reader has who is asked for a password, or has ssh. */
const SHELL = `cd "$HOME"
export PATH="$HOME/weft/bin:\${PATH#*:*:}"
sudo() { shift 2; "$@"; }
scp() { cp "$1" "$HOME/../\${2%:}/"; }`;

describe.skipIf(missing !== undefined)(titled('the first hour', missing), () => {
  const cleanup = new AsyncDisposableStack();
  const hosts = new Map<string, Host>();
  const staying = new Map<string, Process>();
  let lab: NamespaceLab;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    for (const name of HOSTS) hosts.set(name, await lab.host(name));
    const dir = mkdtempSync(join(tmpdir(), 'weft-first-hour-'));
    cleanup.defer(() => rmSync(dir, { recursive: true }));
    const archive = join(dir, `${PACKAGE}.tar.gz`);
    // Stored and not pressed together: that takes a core for seconds, and as long again on five hosts that unpack it.
    const from = dirname(join(checkout, madePackage ?? ''));
    const tar = execFileSync('tar', ['-C', from, '--owner=0', '--group=0', '-cf', '-', PACKAGE], {
      maxBuffer: 2 ** 30,
    });
    writeFileSync(archive, gzipSync(tar, { level: 0 }));
    for (const { dir: home } of hosts.values()) copyFileSync(archive, join(home, `${PACKAGE}.tar.gz`));
    await startServers();
  });
  afterAll(async () => cleanup.disposeAsync());

  function hostOf(name: string): Host {
    const host = hosts.get(name);
    if (host === undefined) throw new Error(`there is no host ${name}`);
    return host;
  }

  /** The two whose own guides say how, and the shop. */
  async function startServers(): Promise<void> {
    const data = hostOf('data-1');
    for (const document of ['docs/guides/rabbitmq.md', 'docs/guides/postgres.md'])
      for (const { name, text } of readGuide(document).files)
        if (!name.endsWith('.yaml')) writeFileSync(join(data.dir, name), text);
    const rabbit = data.start(['/usr/lib/rabbitmq/bin/rabbitmq-server'], { env: rabbitEnvironment(data) });
    const database = data.start(['sh', '-ec', `cd "$HOME"\n${postgres}`]);
    const shop = hostOf('web-1').start(['node', 'test/fixtures/web-shop.ts', '3000', 'redis://redis']);
    await Promise.all([
      rabbit.output(/startup complete/, 60_000),
      database.output(/ready to accept connections/, 60_000),
      shop.output(/ready/, 60_000),
    ]);
  }

  /** The hosts' addresses in place of those of documents. */
  const here = (text: string): string =>
    text.replaceAll(/\b192\.0\.2\.(1[1-5])\b/g, (_, number) => hostOf(HOSTS[Number(number) - 11] ?? '').address);

  async function stays(host: Host, script: string): Promise<void> {
    const [command = ''] = script.match(/^exec .*$/m) ?? [];
    const [, program = ''] = command.split(' ');
    const started = host.start(['sh', '-c', `${SHELL}\n${script}`]);
    staying.set(`${program} on ${host.name}`, started);
    await started.output(READY[program] ?? /ready/, SETTLED_MS);
  }

  async function type({ hosts: on, script, stays: staysOn, prints }: GuideCommands): Promise<void> {
    for (const name of on) {
      const host = hostOf(name);
      const [, ended] = /^# Ctrl-C (.*)$/m.exec(script) ?? [];
      if (ended !== undefined) await staying.get(`${ended} on ${name}`)?.stop();
      if (staysOn) {
        await stays(host, here(script));
        continue;
      }
      const asRoot = /^sudo (?!-u)/m.test(script);
      const env = { PGHOST: host.dir, PGUSER: 'postgres', COLUMNS: '160' };
      // Programs and agents that were started a moment ago have to find each other.
      await until(
        `${name}: ${script}`,
        async () => {
          const { code, stdout, stderr } = asRoot
            ? await lab.startAsRoot(host, ['sh', '-ec', `sudo() { "$@"; }\n${here(script)}`]).finished(5_000)
            : await host.run(['sh', '-c', `${SHELL}\n${here(script)}`], { env, timeoutMs: 60_000 });
          return { code, stderr, stdout, as: prints === undefined || isAs(here(prints), stdout) };
        },
        ({ code, as }) => code === 0 && as,
        2 * SETTLED_MS,
      );
    }
  }

  test('as the guide has it', async () => {
    for (const step of readGuide('docs/guides/first-hour.md').steps) {
      if ('script' in step) await type(step);
      else for (const name of step.hosts) writeFileSync(join(hostOf(name).dir, step.name), here(step.text));
    }
  }, 600_000);

  test('an agent whose files a package manager replaced says of each thread that would begin to restart it', async () => {
    const host = hostOf('web-1');
    const folder = join(host.dir, 'weft/lib/agent/dist/program');
    const build = readFileSync(join(checkout, 'packages/agent/dist/words/build-id.js'), 'utf8');
    const [, id = ''] = /'([0-9a-f]{32})'/.exec(build) ?? [];
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const code = readFileSync(path, 'utf8');
      writeFileSync(`${path}.new`, code.replaceAll(id, 'of another build'));
      renameSync(`${path}.new`, path);
    }
    // Each has something to begin for: who listens beyond loopback, who a process is, and bulk.
    host.start(['redis-server', '--port', '7001', '--bind', '0.0.0.0', '--save', '']);
    const weft = (words: string) => host.run(['sh', '-c', `${SHELL}\n${words}`]);
    await weft('weft explain --pid 1 redis:6379');
    await weft('head -c 100000000 /dev/zero | redis-cli -h redis -x set bulk');
    const { stdout } = await until(
      'all three tell of it',
      () => weft('weft status'),
      (told) => told.stdout.match(/it was replaced; restart the agent/g)?.length === 3,
      SETTLED_MS,
    );
    for (const lacks of [
      /no second thread beside bulk: .*restart the agent/,
      /which programs make the calls of this host cannot be found out: .*restart the agent/,
      /which programs of services listen where others come cannot be looked up: .*restart the agent/,
    ])
      expect(stdout).toMatch(lacks);
    // It goes on with what it has.
    expect((await weft('redis-cli -h redis ping')).stdout).toBe('PONG\n');
  });
});

/** Whether it is what was to be printed; `...` stands for any lines. */
function isAs(wanted: string, printed: string): boolean {
  const [parts, whole] = [anyTimes(wanted).split(/^\.\.\.\n/m), `${anyTimes(printed).trimEnd()}\n`];
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found = whole.indexOf(part, at);
    if (found === -1 || (index === 0 && found > 0)) return false;
    at = found + part.length;
  }
  return parts.at(-1) === '' || at === whole.length;
}

function anyTimes(text: string): string {
  return anyVip(text)
    .replaceAll(/\b\d{4}-\d\d-\d\d \S+ \S+/g, 'TIME')
    .replaceAll(/\b\d+(?:\.\d+)? m?s\b/g, 'DURATION');
}
