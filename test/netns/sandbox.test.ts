/** `weft run`: real programs that are shut in with the mesh, as an ordinary user, and what they can and cannot reach. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkout, createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import type { Finished, Process, StartOptions } from '../harness/process.ts';
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
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('perl', 'unshare', 'python3', 'nc', 'nft', 'redis-server', 'redis-cli');

const MESH = (rules = '') => `
network: prod
services:
  redis:  { kind: private, ports: [6379] }
  echo:   { kind: private, ports: [7000, 7000/udp, 80] }
  web:    { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  mailer: { kind: worker }
  inner:  { kind: private, ports: [4000, 4000/udp, 4001] }
${rules}
`;

/** Answers with who calls, over both transports, at 7000 and 80. */
const ECHO = `
const net = require('net'), udp = require('dgram').createSocket('udp4');
const tell = (socket) => socket.on('error', () => {}).end(socket.remoteAddress + '\\n');
net.createServer(tell).listen(80, '127.0.0.1');
net.createServer(tell).listen(7000, '127.0.0.1', () => {
  udp.on('message', (said, from) => udp.send(from.address + ' ' + said, from.port, from.address));
  udp.bind(7000, '127.0.0.1', () => console.log('ready'));
});`;

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

describe.skipIf(missing !== undefined)(titled('programs in sandboxes', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let front: Host;
  let agent: Agent;
  /** Of the test under way. */
  const started: Process[] = [];
  const start = (command: readonly string[], options: StartOptions = {}): Process => {
    const each = front.start(command, options);
    started.push(each);
    return each;
  };

  const argv = (service: string, ...command: readonly string[]): string[] => [
    'weft',
    'run',
    '--service',
    service,
    '--data',
    agent.dataDir,
    '--',
    ...command,
  ];
  const run = (service: string, command: readonly string[], options: StartOptions = {}): Promise<Finished> =>
    front.run(argv(service, ...command), options);
  const shell = async (script: string, service = 'web'): Promise<string> => {
    const { stdout, stderr } = await run(service, ['bash', '-c', script]);
    return stdout + stderr;
  };

  const sandboxes = async (): Promise<readonly { pid: number; service: string; user: string }[]> =>
    (await agent.status<{ sandboxes: { pid: number; service: string; user: string }[] }>()).sandboxes;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH());
    [data, front] = [await lab.host('data'), await lab.host('front')];
    const echo = data.start(['node', '-e', ECHO]);
    const redis = data.start([
      'redis-server',
      '--protected-mode',
      'no',
      '--save',
      '',
      '--port',
      '6379',
      '--bind',
      '127.0.0.1',
    ]);
    await Promise.all([echo.output(/ready/), redis.output(/Ready to accept/)]);
    const token = await control.token('--host', 'front', '--services', 'web,mailer,inner');
    [agent] = await Promise.all([
      Agent.start(front, { token, config: 'services: {}' }),
      Agent.join(control, data, ['redis', 'echo']),
    ]);
    await until(
      'services answer',
      async () => (await front.run(['nc', '-w2', 'echo', '7000'])).stdout,
      (heard) => heard !== '',
      SETTLED_MS,
    );
  }, 60_000);
  afterAll(async () => cleanup.disposeAsync());
  afterEach(async () => {
    await Promise.all(started.splice(0).map((each) => each.kill()));
    await until('the agent lists none', sandboxes, ({ length }) => length === 0, SETTLED_MS);
  });

  test('calls services by name, TCP and UDP, as the service that it runs as', async () => {
    expect(await shell('redis-cli -h redis ping')).toBe('PONG\n');
    const web = (await shell("getent hosts web.internal | cut -d' ' -f1")).trim();
    expect(web).toMatch(/^127\.80\./);
    expect(await shell('nc -w2 echo 7000; nc -w2 echo 80; echo -n hi | timeout 2 nc -u -w1 echo 7000')).toBe(
      `${web}\n${web}\n${web} hi`,
    );
  });

  test('answers names of the network alone, at once, to glibc and by DNS over UDP and TCP', async () => {
    expect(await shell('getent hosts redis; getent hosts example.com; echo $?')).toMatch(
      /^127\.80\.\d+\.\d+ +redis\.internal\n2\n$/,
    );
    expect(await shell('dig +short +tcp redis.internal; dig +noall +comments example.com | grep -o NXDOMAIN')).toMatch(
      /^127\.80\.\d+\.\d+\nNXDOMAIN\n$/,
    );
  });

  test('a denied call is reset at once, and the record names the service', async () => {
    await control.apply(MESH('policies: [{ name: no-redis, action: deny, from: [web], to: [redis] }]'), '--wait');
    const { stderr } = await run('web', ['redis-cli', '-h', 'redis', 'ping']);
    expect(stderr).toMatch(/reset|closed/i);
    expect(await shell('redis-cli -h redis ping', 'mailer')).toBe('PONG\n');
    const { flows } = JSON.parse(
      `{"flows":[${(await control.ok('flows', '--denied', '--json')).split('\n').join(',')}]}`,
    ) as { flows: { source: string; service: string; rule: string; program?: string }[] };
    expect(flows[0]).toMatchObject({
      source: 'web',
      service: 'redis',
      rule: 'no-redis',
      program: expect.stringMatching(/\/redis-cli$/),
    });
    await control.apply(MESH(), '--wait');
    expect(await shell('redis-cli -h redis ping')).toBe('PONG\n');
  });

  test('sees nothing of the host, its network and its sockets', async () => {
    const listen = 'require("net").createServer((s) => s.end("host")).listen';
    const everywhere = ['node', '-e', `${listen}(9999, "0.0.0.0", () => console.log("ready"))`];
    const host = start(everywhere);
    const abstract = start(['node', '-e', `${listen}("\\0weft-test", () => console.log("ready"))`]);
    const path = start(['node', '-e', `${listen}("${front.dir}/host.sock", () => console.log("ready"))`]);
    const near = data.start(everywhere);
    started.push(near);
    await Promise.all([host, abstract, path, near].map((each) => each.output(/ready/)));
    // A cloud's metadata, and the internet: both beyond the host's wire.
    const far = ['169.254.169.254', '8.8.8.8'];
    for (const address of far) {
      await lab.startAsRoot(data, ['ip', 'address', 'add', `${address}/32`, 'dev', 'lo']).finished();
      await lab.startAsRoot(front, ['ip', 'route', 'add', address, 'via', data.address]).finished();
    }
    const places = [front.address, data.address, '127.0.0.1', ...far];
    const files = ['', 'agent.sock', 'run.sock'].map((name) => join(agent.dataDir, name));
    const connects = `
import os, socket, ctypes, json
def tell(what, how):
    try: told = repr(how())
    except OSError as e: told = os.strerror(e.errno) if e.errno else str(e)
    print(what + ': ' + told)
def unix(at):
    s = socket.socket(socket.AF_UNIX); s.connect(at); return s.recv(9)
for at in json.loads('${JSON.stringify(places)}'): tell(at, lambda: socket.create_connection((at, 9999), 5).recv(9))
tell('abstract', lambda: unix('\\0weft-test'))
tell('path', lambda: unix('${front.dir}/host.sock'))
`;
    // All of it is there, for who is not shut in.
    const outside = await front.check(['/usr/bin/python3', '-c', connects]);
    expect(outside).toBe([...places, 'abstract', 'path'].map((place) => `${place}: b'host'\n`).join(''));
    const tries = `${connects}
tell('192.0.0.1', lambda: socket.create_connection(('192.0.0.1', 9999), 5))
for at in json.loads('${JSON.stringify(files)}'): tell(at, lambda: os.stat(at))
tell('bus', lambda: os.stat('/run/dbus/system_bus_socket'))
tell('vsock', lambda: socket.socket(40, 1))
libc = ctypes.CDLL(None, use_errno=True)
tell('ring', lambda: (libc.syscall(425, 1, 0), ctypes.get_errno()))
tell('trace', lambda: (libc.ptrace(16, ${host.pid}, 0, 0), ctypes.get_errno()))
tell('signal', lambda: os.kill(${host.pid}, 0))
tell('root', lambda: os.listdir('/proc/${host.pid}/root'))
tell('first', lambda: os.listdir('/proc/1/root/run'))
`;
    const told = (await run('web', ['python3', '-c', tries])).stdout;
    for (const place of [...places, '192.0.0.1'])
      expect(told).toMatch(new RegExp(`^${place}: (Connection refused|Network is unreachable)$`, 'm'));
    for (const file of [...files, 'bus', 'path', 'root']) expect(told).toContain(`${file}: No such file or directory`);
    expect(told).toContain('abstract: Connection refused');
    // To the machine that this one runs on; and what makes sockets that no filter sees.
    expect(told).toContain('vsock: Address family not supported by protocol\nring: (-1, 38)');
    expect(told).toContain('trace: (-1, 3)\nsignal: No such process');
    expect(told).toContain('first: Permission denied');
    const seen = (await shell('ls /proc | grep -E "^[0-9]+$" | tr "\\n" " "')).trim().split(' ').map(Number);
    expect(Math.max(...seen)).toBeLessThan(20);
    expect(await shell('grep -E "Cap(Prm|Eff|Bnd)|NoNewPrivs" /proc/self/status | tr -d "\\n"')).toMatch(
      /CapPrm:\t0+CapEff:\t0+CapBnd:\t0+NoNewPrivs:\t1/,
    );
    // A namespace of its own gives no way back to what is covered, and no interface.
    expect(
      await shell(
        `unshare -Urnm sh -c "umount /run; ls /run/dbus; ip link set lo up; nc -w1 ${front.address} 9999" 2>&1; true`,
      ),
    ).not.toMatch(/host|system_bus/);
  });

  test('a program that listens on every address is reached by nothing', async () => {
    const server = start(
      argv(
        'mailer',
        'python3',
        '-c',
        'import socket\nl = socket.create_server(("0.0.0.0", 8080))\nprint("ready", flush=True)\nwhile True:\n  c, a = l.accept(); print("CALLED", a, flush=True); c.close()',
      ),
    );
    await server.output(/ready/);
    for (const address of [front.address, '127.0.0.1', '192.0.0.2'])
      expect((await front.run(['nc', '-w1', address, '8080'])).code, address).not.toBe(0);
    expect((await data.run(['nc', '-w1', front.address, '8080'])).code).not.toBe(0);
    expect(await shell('nc -w1 192.0.0.2 8080; echo $?')).toMatch(/1\n$/);
    expect(server.stdout).toBe('ready\n');
    await server.kill();
  });

  describe('a program that serves', () => {
    /** Says its name and the caller's address, at this address and port, over both transports. */
    const serve = async (name: string, address: string, ...more: readonly string[]): Promise<Process> => {
      const program = `
const net = require('net'), udp = require('dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
net.createServer((s) => s.on('error', () => {}).end('${name} ' + s.remoteAddress + '\\n')).listen(4000, '${address}', () => {
  udp.on('message', (said, from) => udp.send('${name} ' + from.address + ' ' + said + '\\n', from.port, from.address));
  udp.bind(4000, '${address}', () => console.log('ready'));
});
net.createServer((s) => s.on('error', () => {}).write('held\\n')).on('error', () => {}).listen(4001, '${address}');`;
      const command = ['weft', 'run', '--service', 'inner', '--data', agent.dataDir, ...more, '--'];
      const server = start([...command, 'node', '-e', program]);
      await server.output(/ready/);
      return server;
    };
    const call = async (host: Host, port = 4000): Promise<string> =>
      (await host.run(['nc', '-dw2', 'inner', String(port)])).stdout;
    const ask = async (host: Host): Promise<string> =>
      (await host.run(['sh', '-c', 'echo -n hi | timeout 5 nc -u -w2 inner 4000'])).stdout;
    const answers = (host: Host, pattern: RegExp, port = 4000) =>
      until(
        `inner answers ${pattern}`,
        () => call(host, port),
        (heard) => pattern.test(heard),
        SETTLED_MS,
      );

    test.each(['127.0.0.1', '0.0.0.0', '192.0.0.2'])(
      'at %s is called from each caller’s own address, TCP and UDP',
      async (address) => {
        const server = await serve('one', address);
        await answers(data, /^one 127\.8\d\.\d+\.\d+\n$/);
        expect(await ask(data)).toMatch(/^one 127\.8\d\.\d+\.\d+ hi\n$/);
        // By a program of the same host, and by one in a sandbox.
        await answers(front, /^one 127\.8\d\.\d+\.\d+\n$/);
        const web = (await shell("getent hosts web.internal | cut -d' ' -f1")).trim();
        expect(await shell('nc -dw2 inner 4000')).toBe(`one ${web}\n`);
        const { services } = JSON.parse(await control.ok('services', '--json')) as {
          services: { service: { name: string }; instances: { host: string; healthy: boolean }[] }[];
        };
        const inner = services.find(({ service }) => service.name === 'inner');
        expect(inner?.instances).toMatchObject([{ host: 'front', healthy: true }]);
        await server.kill();
        await until(
          'nobody answers',
          () => call(data),
          (heard) => heard === '',
          SETTLED_MS,
        );
        await until('the agent lists none', sandboxes, ({ length }) => length === 0, SETTLED_MS);
      },
    );

    test('at ::1 alone is called from there', async () => {
      const server = await serve('six', '::1');
      await answers(data, /^six ::1\n$/);
      await server.kill();
    });

    test('at another port than the declared one', async () => {
      const server = await serve('moved', '127.0.0.1', '--port', '4001=4000');
      await answers(data, /^moved/, 4001);
      await server.kill();
    });

    test('is found among more sockets than a line to the agent holds', async () => {
      const many = `
import socket
kept = [socket.create_server(('::', port), family=socket.AF_INET6) for port in range(20000, 20300)]
server = socket.create_server(('127.0.0.1', 4001))
print('ready', flush=True)
while True:
  called, _ = server.accept(); called.sendall(b'many\\n'); called.close()`;
      const server = start(argv('inner', 'python3', '-c', many));
      await server.output(/ready/);
      await answers(data, /^many\n$/, 4001);
      const [before] = await sandboxes();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(await sandboxes()).toEqual([before]);
      await server.kill();
    });

    test('beside another of the same service takes turns with it, and leaves its calls to that', async () => {
      const [one, two] = [await serve('one', '0.0.0.0'), await serve('two', '127.0.0.1')];
      await answers(data, /^one/);
      await answers(data, /^two/);
      await one.kill();
      await until(
        'only the other answers',
        async () => [await call(data), await call(data), await call(data)].join(''),
        (heard) => heard.split('two').length === 4,
        SETTLED_MS,
      );
      await two.kill();
    });

    test('is denied to whom a rule denies it, and cut when one comes', async () => {
      const server = await serve('one', '127.0.0.1');
      await answers(data, /^one/);
      const [shut, other] = [data, front].map((host) => host.start(['nc', '-d', 'inner', '4001'])) as [
        Process,
        Process,
      ];
      started.push(shut, other);
      await Promise.all([shut, other].map((each) => each.output(/held/)));
      await control.apply(MESH("policies: [{ name: shut, action: deny, from: ['host:data'], to: [inner] }]"), '--wait');
      expect(await call(data)).toBe('');
      await shut.finished();
      const cut = async () =>
        (await control.ok('flows', '--json', '--to', 'inner'))
          .split('\n')
          .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
      await until(
        'it is recorded',
        cut,
        (flows: { port: number; outcome: string; rule: string }[]) =>
          flows.some(({ port, outcome, rule }) => port === 4001 && outcome === 'cut' && rule === 'shut'),
        SETTLED_MS,
      );
      await answers(front, /^one/);
      expect(other.running).toBe(true);
      await control.apply(MESH(), '--wait');
      await server.kill();
    });
  });

  test('gives exit codes and signals on, and ends as the program does', async () => {
    expect((await run('web', ['sh', '-c', 'exit 7'])).code).toBe(7);
    const nowhere = 'weft: cannot run no-such-program: No such file or directory\n';
    expect(await run('web', ['no-such-program'])).toMatchObject({ code: 127, stderr: nowhere });
    expect((await run('web', ['/etc/passwd'])).code).toBe(126);
    // Dies of the same signal: a shell tells 128 and its number.
    expect(
      await front.run([
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
      const asRoot = lab.startAsRoot(front, [...begun, weft, ...argv('web', 'true').slice(1)]);
      expect(await asRoot.finished()).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /the directory .* may not be entered by this user \(Permission denied\); begin in another/,
        ),
      });
      expect(await front.run(['weft', 'run', '--service', 'web', '--data', shut, '--', 'true'])).toMatchObject({
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
    await control.apply(MESH('policies: [{ name: stopped, action: deny, from: [web], to: [redis] }]'), '--wait');
    await control.apply(MESH(), '--wait');
    expect(await front.run(['weft', 'reload', '--data', agent.dataDir])).toMatchObject({ code: 0 });
    expect(stateOf(pid)).toBe('T');
    process.kill(pid, 'SIGCONT');
    expect(await program.finished()).toMatchObject({ code: 5, stdout: 'went on\n' });
  });

  test('is stopped by Ctrl-Z, goes on by fg and ends by Ctrl-C, as any job of a shell', async () => {
    const command = argv('web', 'sh', '-c', 'echo begun; exec cat')
      .map((each) => `'${each}'`)
      .join(' ');
    const told = await front.run(['env', 'python3', '-c', JOB, command], { timeoutMs: 50_000 });
    expect(told).toEqual({ code: 0, stdout: 'ended with 130\n', stderr: '' });
  });

  test('gives the program as many files as whoever started it has', async () => {
    const limits = 'ulimit -Sn; ulimit -Hn';
    const limited = ['sh', '-c', 'ulimit -Sn 512; "$@"; exit $?', 'sh', ...argv('web', 'sh', '-c', limits)];
    expect((await front.run(limited)).stdout).toMatch(/^512\n(?!512\n)\d+\n$/);
  });

  test.each(['supervisor', 'first process', 'program'] as const)(
    'nothing stays behind after kill -9 of the %s',
    async (who) => {
      const program = start(argv('web', 'sh', '-c', 'sleep 4711 & setsid sleep 4712 & echo ready; sleep 4713'));
      await program.output(/ready/);
      const [{ pid = 0 } = {}] = await sandboxes();
      const first = children(pid)[0] ?? 0;
      const all = [pid, ...descendants(pid)];
      const began = new Map(all.map((each) => [each, startedAt(each)]));
      expect(all.filter((each) => /^sleep /.test(commandOf(each)))).toHaveLength(3);
      process.kill({ supervisor: pid, 'first process': first, program: children(first)[0] ?? 0 }[who], 'SIGKILL');
      await until(
        'all of it is gone',
        async () => all.filter((each) => startedAt(each) === began.get(each)),
        (left) => left.length === 0,
        SETTLED_MS,
      );
      await until('the agent lists none', sandboxes, ({ length }) => length === 0, SETTLED_MS);
      expect((await program.finished()).code).not.toBe(0);
    },
  );

  test('nothing stays behind after kill -9 of the agent, the supervisor and the program’s leader at once', async () => {
    const facts = ['sh', '-c', 'ip route show table all; ip address; nft list ruleset; ls -A "$0" | grep run'];
    const left = async () => (await lab.startAsRoot(front, [...facts, agent.dataDir]).finished()).stdout;
    const before = await left();
    const script = 'sleep 4711 & setsid sleep 4712 & getent hosts redis; sleep 4713';
    const program = start([
      'weft',
      'run',
      '--service',
      'inner',
      '--egress',
      '--data',
      agent.dataDir,
      '--',
      'sh',
      '-c',
      script,
    ]);
    await program.output(/redis/);
    const [{ pid = 0 } = {}] = await sandboxes();
    const [first = 0] = children(pid);
    const all = [pid, ...descendants(pid)];
    const agentPid = agent.process.pid;
    const relays = children(agentPid).filter((each) => /^weft sandboxes/.test(commandOf(each)));
    expect(relays).toHaveLength(1);
    const own = new Set(namespacesOf(agentPid));
    const made = all.flatMap(namespacesOf).filter((each) => !own.has(each));
    expect(new Set(made.map((each) => each.split(':')[0]))).toEqual(
      new Set(['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']),
    );
    const began = new Map([...all, agentPid, ...relays].map((each) => [each, startedAt(each)]));
    for (const each of [agentPid, pid, children(first)[0] ?? 0]) process.kill(each, 'SIGKILL');
    await until(
      'every process is gone',
      () => [...began].filter(([each, at]) => startedAt(each) === at),
      (still) => still.length === 0,
      SETTLED_MS,
    );
    const held = namespacesHeld();
    expect(made.filter((each) => held.has(each))).toEqual([]);
    // Where the agent listened nobody listens, and nothing lies.
    expect(readdirSync(agent.dataDir).filter((name) => name.startsWith('run.sock'))).toEqual([]);
    await agent.process.kill();
    await agent.restart();
    expect(await left()).toBe(before);
    expect(await shell('getent hosts redis')).toMatch(/redis/);
  });

  test('goes on while the relay alone is killed, and has its mesh again', async () => {
    const program = start(
      argv('web', 'sh', '-c', 'while sleep 0.2; do redis-cli -h redis ping 2>&1 | head -c 40; done'),
    );
    await program.output(/PONG/);
    const [relay = 0] = children(agent.process.pid).filter((each) => /^weft sandboxes/.test(commandOf(each)));
    process.kill(relay, 'SIGKILL');
    await until('the agent lists none', sandboxes, ({ length }) => length === 0, SETTLED_MS);
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
    await agent.process.kill();
    await until(
      'calls fail',
      async () => program.stdout,
      (heard) => !heard.endsWith('PONG\n'),
      SETTLED_MS,
    );
    await agent.restart();
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
