/** `weft run`: how a sandbox begins, stops and ends, with its program, with its agent, and by kill -9 of each part. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout, hostsMissing, titled } from '../harness/host.ts';
import {
  children,
  commandOf,
  descendants,
  namespacesHeld,
  namespacesOf,
  startedAt,
  stateOf,
} from '../harness/processes.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { MESH, SANDBOX_PROGRAMS, SandboxHosts } from './sandbox-hosts.ts';

const missing = await hostsMissing(...SANDBOX_PROGRAMS);

/** A shell with job control on a terminal of its own, as a person has it, that runs the command of the argument. */
const JOB = `
import os, pty, re, select, sys, time
child, terminal = pty.fork()
if child == 0: os.execvpe('bash', ['bash', '--norc', '--noprofile', '-i'], {**os.environ, 'TERM': 'dumb'})
heard = ''
def expect(pattern):
    global heard
    until = time.time() + 30
    while True:
        found = re.search(pattern, heard)
        if found:
            heard = heard[found.end():]
            return found
        if time.time() > until or not select.select([terminal], [], [], 30)[0]: sys.exit('no ' + pattern + ' in ' + repr(heard))
        heard += os.read(terminal, 4096).decode('latin1')
def type(text): os.write(terminal, text.encode())
expect('[$] ')
type(sys.argv[1] + '\\n'); expect(r'begun\\r\\n')
type('one\\n'); expect(r'one\\r\\none\\r\\n')
type('\\x1a'); expect('Stopped'); expect('[$] ')
type('fg\\n'); expect(r'cat.?\\r\\n')
type('two\\n'); expect(r'two\\r\\ntwo\\r\\n')
type('\\x03'); expect('[$] ')
type('echo ended with $?\\n'); print('ended with ' + expect(r'ended with (\\d+)').group(1))
`;

describe.skipIf(missing !== undefined)(titled('a sandbox’s life', missing), () => {
  const hosts = new SandboxHosts();
  const { argv, run, sandboxes, shell, start } = hosts;

  test('gives exit codes and signals on, and ends as the program does', async () => {
    expect((await run('web', ['sh', '-c', 'exit 7'])).code).toBe(7);
    const nowhere = 'weft: cannot run no-such-program: No such file or directory\n';
    expect(await run('web', ['no-such-program'])).toMatchObject({ code: 127, stderr: nowhere });
    expect((await run('web', ['/etc/passwd'])).code).toBe(126);
    // Dies of the same signal: a shell tells 128 and its number.
    expect(
      await hosts.front.run([
        'bash',
        '-c',
        `${argv('web', 'sh', '-c', 'kill -9 $$')
          .map((each) => `'${each}'`)
          .join(' ')}; echo $?`,
      ]),
    ).toMatchObject({ stdout: '137\n' });
    const script =
      'import signal, sys, time\nfor s in (1, 10, 12, 15, 28): signal.signal(s, lambda n, f: print("got", n, flush=True))\nprint("ready", flush=True)\nwhile True: time.sleep(1)';
    const program = start(argv('web', 'python3', '-c', script));
    await program.output(/ready/);
    const [{ pid = 0 } = {}] = await sandboxes();
    for (const number of [1, 10, 12, 15, 28]) {
      process.kill(pid, number);
      await program.output(new RegExp(`got ${number}\n`));
    }
    process.kill(pid, 'SIGINT');
    expect((await program.finished()).code).not.toBe(0);
    expect((await run('web', ['cat'], { input: 'through stdin' })).stdout).toBe('through stdin');
  });

  test('says which directory is closed to this user, where it begins and where the agent is', async () => {
    const shut = mkdtempSync(join(tmpdir(), 'weft-shut-'));
    try {
      // As who has become another user there.
      const begun = ['sh', '-c', 'cd "$0" && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"', shut];
      const weft = join(checkout, 'node_modules', '.bin', 'weft');
      const asRoot = hosts.lab.startAsRoot(hosts.front, [...begun, weft, ...argv('web', 'true').slice(1)]);
      expect(await asRoot.finished()).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /the directory .* may not be entered by this user \(Permission denied\); begin in another/,
        ),
      });
      expect(await hosts.front.run(['weft', 'run', '--service', 'web', '--data', shut, '--', 'true'])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/run\.sock is closed to this user \(EACCES\).*--run-socket/),
      });
    } finally {
      rmSync(shut, { recursive: true });
    }
  });

  test('stops when its program does, whoever stopped that, and goes on with it', async () => {
    const program = start(argv('web', 'sh', '-c', 'kill -STOP $$; echo went on; exit 5'));
    const supervisor = await until('it runs', sandboxes, ([one]) => one !== undefined, SETTLED_MS);
    const pid = supervisor[0]?.pid ?? 0;
    await until(
      'it is stopped',
      async () => stateOf(pid),
      (state) => state === 'T',
      SETTLED_MS,
    );
    expect(program.stdout).toBe('');
    // It answers nothing now, and holds up neither the network nor a reload.
    await hosts.control.apply(MESH('policies: [{ name: stopped, action: deny, from: [web], to: [redis] }]'), '--wait');
    await hosts.control.apply(MESH(), '--wait');
    expect(await hosts.front.run(['weft', 'reload', '--data', hosts.agent.dataDir])).toMatchObject({ code: 0 });
    expect(stateOf(pid)).toBe('T');
    process.kill(pid, 'SIGCONT');
    expect(await program.finished()).toMatchObject({ code: 5, stdout: 'went on\n' });
  });

  test('is stopped by Ctrl-Z, goes on by fg and ends by Ctrl-C, as any job of a shell', async () => {
    const command = argv('web', 'sh', '-c', 'echo begun; exec cat')
      .map((each) => `'${each}'`)
      .join(' ');
    const told = await hosts.front.run(['env', 'python3', '-c', JOB, command], { timeoutMs: 50_000 });
    expect(told).toEqual({ code: 0, stdout: 'ended with 130\n', stderr: '' });
  });

  test('gives the program as many files as whoever started it has', async () => {
    const limits = 'ulimit -Sn; ulimit -Hn';
    const limited = ['sh', '-c', 'ulimit -Sn 512; "$@"; exit $?', 'sh', ...argv('web', 'sh', '-c', limits)];
    expect((await hosts.front.run(limited)).stdout).toMatch(/^512\n(?!512\n)\d+\n$/);
  });

  test.each(['supervisor', 'first process', 'program'] as const)(
    'nothing stays behind after kill -9 of the %s',
    async (who) => {
      const program = start(argv('web', 'sh', '-c', 'sleep 4711 & setsid sleep 4712 & echo ready; sleep 4713'));
      await program.output(/ready/);
      const [{ pid = 0 } = {}] = await sandboxes();
      const first = children(pid)[0] ?? 0;
      const all = await until(
        'all of it runs',
        async () => [pid, ...descendants(pid)],
        (found) => found.filter((each) => /^sleep /.test(commandOf(each))).length === 3,
      );
      const began = new Map(all.map((each) => [each, startedAt(each)]));
      process.kill({ supervisor: pid, 'first process': first, program: children(first)[0] ?? 0 }[who], 'SIGKILL');
      await until(
        'all of it is gone',
        async () => all.filter((each) => startedAt(each) === began.get(each)),
        (left) => left.length === 0,
        SETTLED_MS,
      );
      await hosts.none();
      expect((await program.finished()).code).not.toBe(0);
    },
  );

  test('nothing stays behind after kill -9 of the agent, the supervisor and the program’s leader at once', async () => {
    const facts = ['sh', '-c', 'ip route show table all; ip address; nft list ruleset; ls -A "$0" | grep run'];
    const left = async () =>
      (await hosts.lab.startAsRoot(hosts.front, [...facts, hosts.agent.dataDir]).finished()).stdout;
    const before = await left();
    const script = 'sleep 4711 & setsid sleep 4712 & getent hosts redis; sleep 4713';
    const program = start([
      'weft',
      'run',
      '--service',
      'inner',
      '--egress',
      '--data',
      hosts.agent.dataDir,
      '--',
      'sh',
      '-c',
      script,
    ]);
    await program.output(/redis/);
    const [{ pid = 0 } = {}] = await sandboxes();
    const [first = 0] = children(pid);
    const all = [pid, ...descendants(pid)];
    const agentPid = hosts.agent.process.pid;
    const relays = children(agentPid).filter((each) => /^weft sandboxes/.test(commandOf(each)));
    expect(relays).toHaveLength(1);
    const own = new Set(namespacesOf(agentPid));
    const made = all.flatMap(namespacesOf).filter((each) => !own.has(each));
    expect(new Set(made.map((each) => each.split(':')[0]))).toEqual(
      new Set(['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']),
    );
    const began = new Map([...all, agentPid, ...relays].map((each) => [each, startedAt(each)]));
    for (const each of [agentPid, pid, children(first)[0] ?? 0]) {
      try {
        process.kill(each, 'SIGKILL');
      } catch (error) {
        // The end of those before may have been its own.
        expect(error).toMatchObject({ code: 'ESRCH' });
      }
    }
    await until(
      'every process is gone',
      () => [...began].filter(([each, at]) => startedAt(each) === at),
      (still) => still.length === 0,
      SETTLED_MS,
    );
    const held = namespacesHeld();
    expect(made.filter((each) => held.has(each))).toEqual([]);
    // Where the agent listened nobody listens, and nothing lies.
    expect(readdirSync(hosts.agent.dataDir).filter((name) => name.startsWith('run.sock'))).toEqual([]);
    await hosts.agent.process.kill();
    await hosts.agent.restart();
    expect(await left()).toBe(before);
    expect(await shell('getent hosts redis')).toMatch(/redis/);
  });

  test('goes on while the relay alone is killed, and has its mesh again', async () => {
    const program = start(
      argv('web', 'sh', '-c', 'while sleep 0.2; do redis-cli -h redis ping 2>&1 | head -c 40; done'),
    );
    await program.output(/PONG/);
    const [relay = 0] = children(hosts.agent.process.pid).filter((each) => /^weft sandboxes/.test(commandOf(each)));
    process.kill(relay, 'SIGKILL');
    await hosts.none();
    const [{ pid } = { pid: 0 }] = await until(
      'the same one is back',
      sandboxes,
      ({ length }) => length === 1,
      SETTLED_MS,
    );
    expect(commandOf(pid)).toMatch(/^weft run web/);
    program.stdout = '';
    await program.output(/PONG\nPONG/, SETTLED_MS);
    await program.kill();
  });

  test('goes on while the agent is killed, and has its mesh again when it is back', async () => {
    const program = start(
      argv('web', 'sh', '-c', 'while sleep 0.2; do redis-cli -h redis ping 2>&1 | head -c 40; done'),
    );
    await program.output(/PONG/);
    await hosts.agent.process.kill();
    await until(
      'calls fail',
      async () => program.stdout,
      (heard) => !heard.endsWith('PONG\n'),
      SETTLED_MS,
    );
    await hosts.agent.restart();
    const before = program.stdout.length;
    await until(
      'calls work',
      async () => program.stdout.slice(before),
      (heard) => heard.endsWith('PONG\nPONG\n'),
      SETTLED_MS,
    );
    await program.kill();
  });
});
