/** README and docs/API.md, done as they say on hosts with default ports and folders, and what is on their disks then. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documented } from '../docs/documented.ts';
import { codes, read, tableRows } from '../docs/sources.ts';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { until } from '../harness/until.ts';

const missing = await hostsMissing('redis-server', 'redis-cli');

/** In the home of who runs them. */
const CONTROL = '.local/state/weft-control';
const AGENT = '.local/state/weft';

/** Files of a step from an older version, of damage, of a restore, of a moment’s writing, of programs that took a service’s port, and of a guard. */
const SELDOM = [
  'control.db.before-N',
  'flows/NETWORK/NNNN.db-journal',
  'flows/NETWORK/NNNN.db.damaged',
  'replaced-DATE/',
  'wildcards.json',
  'guard.json',
];

/** A line's comment aside. */
const commands = (block: string): readonly string[] =>
  block.split('\n').flatMap((line) => line.replace(/ +#.*$/, '').trim() || []);

describe.skipIf(missing !== undefined)(titled('the documents', missing), () => {
  let lab: NamespaceLab;
  let main: Host;
  let data: Host;
  let web: Host;
  const agents = new Map<Host, Process>();

  beforeAll(async () => {
    lab = await createNamespaceLab();
    [main, data, web] = [await lab.host('main'), await lab.host('data-1'), await lab.host('web-1')];
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const shell = (script: string) => ['sh', '-c', `cd "$HOME" && ${script}`];
  const inData = (script: string) => shell(`set -e && cd ${CONTROL}\n${script}`);
  const asRoot = async (host: Host, script: string): Promise<void> => {
    const done = await lab.startAsRoot(host, ['sh', '-ec', `sudo() { "$@"; }\n${script}`]).finished(5_000);
    expect(done).toMatchObject({ code: 0, stderr: '' });
  };
  /** `...` in a command stands for what was told of it before. */
  const up = async (host: Host, command: string, rest = ''): Promise<string> => {
    await agents.get(host)?.stop();
    const agent = host.start(shell(`exec ${command.replace('...', rest)}`));
    agents.set(host, agent);
    return (await agent.output(/^weft ready.*$/m))[0];
  };

  test('README: set up a network', async () => {
    await main.start(shell(`exec ${documented('README.md', 'weft-control serve')}`)).output(/ready/);
    writeFileSync(join(main.dir, 'mesh.yaml'), documented('README.md', 'network: prod'));
    await main.check(shell(documented('README.md', 'weft apply -f mesh.yaml')));
    await main.check(shell(`set -e\n${documented('README.md', 'weft token create')}`));
    for (const [host, token] of [
      [data, 'token.txt'],
      [web, 'token-web-1.txt'],
    ] as const) {
      writeFileSync(join(host.dir, token), await main.check(['cat', join(main.dir, token)]));
    }
    writeFileSync(join(data.dir, 'weft.yaml'), documented('README.md', 'services:'));
    const redis = ['redis-server', '--bind', '127.0.0.1', '--protected-mode', 'no', '--save', '', '--dir', data.dir];
    await data.start(redis).output(/Ready to accept/);
    const ready = await up(data, documented('README.md', 'weft up --join-file'));

    const [, resolver] = /^DNS=(\S+)$/m.exec(documented('README.md', '# /etc/systemd/resolved.conf.d')) ?? [];
    expect(ready).toContain(`dns ${resolver}`);
  });

  test('README: names', async () => {
    const lines = commands(documented('README.md', 'sudo sysctl'));
    const starts = lines.findIndex((line) => line.startsWith('weft up'));
    await asRoot(data, lines.slice(0, starts).join('\n'));
    await up(data, lines[starts] ?? '', '--config weft.yaml');
    await asRoot(data, lines.slice(starts + 1, -1).join('\n'));
    const ping = () => data.run(shell(lines.at(-1) ?? ''));
    // The agent has to find its target first.
    expect(await until('redis answers', ping, ({ code }) => code === 0)).toMatchObject({ stdout: 'PONG\n' });
  });

  test('README: addresses outside loopback', async () => {
    const [route = '', start = ''] = commands(documented('README.md', 'sudo ip route add'));
    await asRoot(web, route);
    // Any program that listens there.
    await web.start(['redis-server', '--bind', '127.0.0.1', '--port', '3000', '--save', '']).output(/Ready to accept/);
    writeFileSync(join(web.dir, 'weft.yaml'), 'services: { web: {} }\n');
    await up(web, start, '--join-file token-web-1.txt --config weft.yaml');
    const unit = read('packaging/systemd/weft-range.service');
    const told = Array.from(unit.matchAll(/^(?:Environment|ExecStart)=(.*)$/gm), ([, line = '']) =>
      line.replaceAll('$$', '$'),
    );
    await asRoot(web, told.join('\n'));
  });

  test('README: look and ask', async () => {
    const { revisions } = JSON.parse(await main.check(['weft', 'history', '--json']));
    const stays = (command: string) => /--follow|^weft forward /.test(command);
    const asked = commands(documented('README.md', 'weft status'));
    // These change what the others tell, and each other's: one after the other, the last of all.
    const changes = asked.filter((command) => /^weft (grant|revoke|agents rename) /.test(command));
    const ends = asked.filter((command) => !stays(command) && !changes.includes(command));
    // What the agent of a host is asked for is asked there, and names are set up on one.
    const hostOf = (command: string) =>
      /^weft (check|reload)$/.test(command) ? data : /^weft (ping|connect|forward|env) /.test(command) ? web : main;
    const run = async (command: string) => {
      // The revision and the hosts that are there; and a terminal with room for every column.
      const line = command
        .replace('rollback 7', `rollback ${revisions[0].revision}`)
        .replace('rename build-3 data-1', 'rename web-1 web-2')
        .replace('revoke web-1', 'revoke web-2');
      const { code, stderr } = await hostOf(command).run(shell(`export COLUMNS=300; ${line}`));
      return [command, code, stderr];
    };
    const following = asked.filter(stays);
    const follows = following.map((command) => hostOf(command).start(shell(`exec ${command}`)));
    // A few at a time: each is a process, and agents are to answer in time.
    for (let at = 0; at < ends.length; at += 4) {
      const some = ends.slice(at, at + 4);
      expect(await Promise.all(some.map(run))).toEqual(some.map((command) => [command, 0, '']));
    }
    expect(follows.map(({ running }) => running)).toEqual(following.map(() => true));
    expect(following).toHaveLength(2);
    await Promise.all(follows.map((one) => one.stop()));
    for (const command of changes) expect(await run(command)).toEqual([command, 0, expect.any(String)]);
    expect(ends.length + following.length + changes.length).toBe(asked.length);
    await main.check(inData(documented('README.md', 'printf ')));
  });

  test('docs/API.md', async () => {
    // One shell, as who reads on has it.
    const said = [
      'grpcurl() { node --no-deprecation /mnt/test/harness/grpcurl.ts "$@"; }',
      documented('docs/API.md', 'grpcurl -cacert'),
      documented('docs/API.md', '# In a file that nobody else can read'),
      documented('docs/API.md', 'printf '),
    ];
    const { code, stdout, stderr } = await main.run(inData(said.join('\n')));
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^(curl: \(28\).*)?$/) });
    expect(stdout).toContain('"snapshot":true');

    const wrong = `curl -sS -K curl.conf --json '{"service": {"prots": []}}' http://127.0.0.1:7480/weft.v1.AdminService/PutService`;
    const told = JSON.parse(documented('docs/API.md', '{"code": "invalid_argument"'));
    const got = JSON.parse(await main.check(inData(wrong)));
    const details = told.details.map((each: object) => expect.objectContaining({ ...each, value: expect.any(String) }));
    expect(got).toMatchObject({ ...told, details: expect.arrayContaining(details) });
  });

  test('docs/API.md: the example, which is what is shown of it', async () => {
    const env = { WEFT_ADMIN_TOKEN_FILE: join(main.dir, CONTROL, 'admin.token') };
    const told = await main.check(['sh', '-c', documented('docs/API.md', 'node examples/deploy')], { env });
    expect(told.trim().split('\n')).toEqual([
      expect.stringMatching(/^hello is declared at revision \d+$/),
      'hello is healthy: any service of preview can call hello:8080',
      'hello is drained',
      'hello is gone',
    ]);
    expect(read('examples/deploy/main.ts')).toContain(documented('docs/API.md', 'using admin'));
  });

  test("README's modes are those of the files", () => {
    const rows = tableRows(read('README.md'), '### Files').flatMap(([file, mode]) =>
      /^0[0-7]{3}$/.test(mode ?? '') ? [[codes(file)[0]?.replace(/\/$/, '') ?? '', mode] as const] : [],
    );
    const found = rows.flatMap(([name, mode]) =>
      [join(main.dir, CONTROL, name), join(data.dir, AGENT, name)]
        .filter((path) => existsSync(path))
        .map((path) => [name, mode, `0${(statSync(path).mode & 0o777).toString(8)}`]),
    );
    expect(found.length).toBeGreaterThan(10);
    expect(found.filter(([, told, is]) => told !== is)).toEqual([]);
  });

  test('docs/UPGRADING.md names every file that is kept, and none that is not', () => {
    const named = tableRows(read('docs/UPGRADING.md'), '## What is kept on disk').flatMap(([cell]) => {
      const [first = '', ...others] = codes(cell);
      return [first, ...others.map((name) => (name.startsWith('-') ? first + name : name))];
    });
    const form = (name: string): RegExp =>
      new RegExp(
        `^${name.replaceAll('.', '\\.').replace('NETWORK', '[^/]+').replace('NNNN', '\\d{4,}').replace(/N$/, '\\d+')}$`,
      );
    const kept = [
      ...readdirSync(join(main.dir, CONTROL), { recursive: true, withFileTypes: true }),
      ...readdirSync(join(data.dir, AGENT), { recursive: true, withFileTypes: true }),
    ].flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entry.isDirectory() ? [] : path.replace(/^.*\/weft(-control)?\//, '');
    });
    // The reader of docs/API.md made that one.
    expect(kept.filter((path) => path !== 'curl.conf' && !named.some((name) => form(name).test(path)))).toEqual([]);
    expect(named.filter((name) => !kept.some((path) => form(name).test(path)))).toEqual(SELDOM);
  });
});
