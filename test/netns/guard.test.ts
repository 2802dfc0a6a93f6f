/** weft guard on real hosts: what a neighbour reaches of a host past Weft, before, while and after it is closed. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  checkout,
  createNamespaceLab,
  type Host,
  hostsMissing,
  type NamespaceLab,
  programs,
  titled,
} from '../harness/host.ts';
import type { Finished, Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc', 'nft', 'perl');

const RANGE = '100.80.0.0/12';
const MESH = `
network: prod
services:
  redis: { kind: private, ports: [6379, 8125/udp] }
  late:  { kind: private, ports: [7001] }
`;

/** Says a word to who connects, or sends a datagram. */
const SAY = `
const [port, udp, ...addresses] = process.argv.slice(1);
let left = addresses.length;
const ready = () => --left || console.log('ready');
for (const address of addresses) {
  require('net').createServer((socket) => socket.on('error', () => {}).end('said')).listen(Number(port), address, () => {
    if (udp === '0') return ready();
    const socket = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (_, from) => socket.send('said', from.port, from.address));
    socket.bind(Number(udp), address, ready);
  });
}`;

/** Prints what comes back within a second, and waits no longer once it came. */
const ASK = `
my $socket = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Proto => 'udp', Timeout => 1) or exit;
$socket->send("\\n");
vec(my $bits = '', fileno($socket), 1) = 1;
$socket->recv(my $said, 99) if select($bits, undef, undef, 1) > 0;
print $said // '';`;

describe.skipIf(missing !== undefined)(titled('weft guard', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let web: Host;
  let neighbour: Host;
  let agent: Agent;
  let keeper: Process | undefined;

  const asRoot = (host: Host, ...argv: readonly string[]): Promise<Finished> =>
    lab.startAsRoot(host, argv).finished(20_000);
  const rootCheck = async (host: Host, ...argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await asRoot(host, ...argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  };
  const weft = `${checkout}/${programs}/weft`;
  const guard = (...args: readonly string[]) => asRoot(data, weft, 'guard', ...args, '--data', agent.dataDir);
  const ruleset = () => rootCheck(data, 'nft', 'list', 'ruleset');
  const serve = async (...argv: readonly string[]): Promise<Process> => {
    const program = data.start(['node', '-e', SAY, ...argv]);
    await program.output(/^ready$/m);
    return program;
  };
  /** `wait`: seconds after which nobody answers. */
  const tcp = async (from: Host, address: string, port = 6379, wait = 2): Promise<string> =>
    (await from.run(['nc', `-dw${wait}`, address, String(port)])).stdout;
  const udp = async (from: Host, address: string): Promise<string> =>
    (await from.run(['perl', '-MIO::Socket::IP', '-e', ASK, address, '8125'])).stdout;
  const six = () =>
    data.check(['sh', '-c', "ip -6 -o address show dev eth0 | sed -n 's/.*inet6 \\(fd[^/]*\\).*/\\1/p'"]);
  /** All ways that go past Weft. */
  const past = async (wait = 2): Promise<readonly string[]> => {
    const v6 = (await six()).trim();
    return Promise.all([
      tcp(neighbour, data.address, 6379, wait),
      tcp(neighbour, v6, 6379, wait),
      udp(neighbour, data.address),
      udp(neighbour, v6),
    ]);
  };
  const OPEN = ['said', 'said', 'said', 'said'];
  const SHUT = ['', '', '', ''];
  /** As `past`, where nobody is to answer: what is open answers in milliseconds. */
  const shut = () => past(1);
  const isShut = (all: readonly string[]) => all.every((each) => each === '');
  const own = async () => [await tcp(data, '127.0.0.1'), await tcp(data, data.address), await udp(data, data.address)];

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    [data, web, neighbour] = [await lab.host('data', 'too'), await lab.host('web'), await lab.host('neighbour', 'too')];
    await rootCheck(data, 'ip', 'route', 'add', 'local', RANGE, 'dev', 'lo');
    await serve('6379', '8125', '0.0.0.0', 'fd00:213:7::12');
    await serve('7001', '0', '0.0.0.0');
    agent = await Agent.start(data, {
      token: await control.token('--host', 'data', '--services', 'redis,late'),
      config: 'services: { redis: {} }',
      args: ['--vip-range', RANGE],
    });
    await Agent.start(web, { token: await control.token('--host', 'web') });
    await until('redis answers', () => tcp(web, 'redis'), Boolean, SETTLED_MS);
  });
  afterAll(async () => cleanup.disposeAsync());

  test('closes to the LAN, over both families, TCP and UDP, what the host itself and the mesh go on to reach; off leaves no trace', async () => {
    await rootCheck(
      data,
      'nft',
      'add table ip mine; add chain ip mine c { type filter hook input priority 0; }; add rule ip mine c tcp dport 22 accept',
    );
    const before = await ruleset();
    expect(await past()).toEqual(OPEN);
    expect(await guard('status')).toMatchObject({ code: 3, stdout: expect.stringContaining('off') });

    const refused = await data.run(['weft', 'guard', 'on', '--data', agent.dataDir]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/root.*CAP_NET_ADMIN/) });
    expect((await guard('on', '--dry-run')).stdout).toContain('tcp . 6379');
    expect(await ruleset()).toBe(before);

    expect(await guard('on')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('closed     redis        0.0.0.0:6379/tcp'),
    });
    expect(await shut()).toEqual(SHUT);
    expect(await own()).toEqual(['said', 'said', 'said']);
    expect(await tcp(web, 'redis')).toBe('said');
    expect(await guard('status')).toMatchObject({ code: 0 });
    // As another user of the host, from where services are.
    const forged = () =>
      asRoot(data, 'setpriv', '--reuid=1', '--clear-groups', 'nc', '-dw1', '-s', '100.80.0.99', '127.0.0.1', '6379');
    expect((await forged()).stdout).toBe('');
    // Of a directory where nobody wishes for one.
    expect(await asRoot(data, weft, 'guard', 'off', '--data', `${data.dir}/elsewhere`)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('another agent of this host'),
    });
    expect(await shut()).toEqual(SHUT);
    const once = await ruleset();
    expect((await guard('on')).code).toBe(0);
    expect((await ruleset()).replace(/packets \d+ bytes \d+/g, '')).toBe(once.replace(/packets \d+ bytes \d+/g, ''));

    expect((await guard('off')).code).toBe(0);
    expect(await ruleset()).toBe(before);
    expect((await guard('off')).code).toBe(0);
    expect(await past()).toEqual(OPEN);
    expect((await forged()).stdout).toBe('said');
  });

  test('a VIP range outside loopback is reached by its own host alone, also when the LAN routes to it', async () => {
    await rootCheck(neighbour, 'ip', 'route', 'add', RANGE, 'via', data.address);
    const vip = (
      await data.check([
        'node',
        '-e',
        "require('dns').promises.resolve4('redis.internal').then(([a]) => console.log(a))",
      ])
    ).trim();
    expect(vip).toMatch(/^100\.80\./);
    // It gets as far as whoever listens on every address.
    expect((await neighbour.run(['timeout', '3', 'nc', '-z', vip, '7410'])).code).toBe(0);
    await guard('on');
    expect((await neighbour.run(['timeout', '3', 'nc', '-z', vip, '7410'])).code).not.toBe(0);
    expect(await tcp(data, vip)).toBe('said');
    expect(await tcp(web, 'redis')).toBe('said');
    await guard('off');
  });

  test('what keeps it puts it back after a reload of the firewall, follows programs, and is told as closed', async () => {
    keeper = lab.startAsRoot(data, [weft, 'guard', 'keep', '--data', agent.dataDir]);
    await until(
      'what is open is told',
      () => agent.problems(),
      (codes) => codes.includes('exposed'),
      SETTLED_MS,
    );
    expect(await guard('on')).toMatchObject({ code: 0 });
    await until(
      'it is told as closed',
      () => agent.problems(),
      (codes) => !codes.includes('exposed'),
      SETTLED_MS,
    );
    const status = JSON.parse((await guard('status', '--json')).stdout);
    expect(status).toMatchObject({ state: 'on', kept: true, range: RANGE });

    await rootCheck(data, 'nft', 'flush', 'ruleset');
    await until('it is back', shut, isShut, SETTLED_MS);
    // By hand: one rule less.
    await rootCheck(data, 'nft', 'flush', 'chain', 'inet', 'weft_guard', 'closed');
    await until('the rule is back', shut, isShut, SETTLED_MS);

    // No service has it yet here.
    expect(await tcp(neighbour, data.address, 7001)).toBe('said');
    writeFileSync(`${data.dir}/weft.yaml`, 'services: { redis: {}, late: {} }');
    await data.check(['weft', 'reload', '--data', agent.dataDir]);
    await until(
      'what comes is closed',
      () => tcp(neighbour, data.address, 7001),
      (text) => text === '',
      SETTLED_MS,
    );
    writeFileSync(`${data.dir}/weft.yaml`, 'services: { redis: {}, late: {} }\nexposure: { allow: [7001] }');
    await data.check(['weft', 'reload', '--data', agent.dataDir]);
    await until('what is meant to be reached is', () => tcp(neighbour, data.address, 7001), Boolean, SETTLED_MS);
    expect(await shut()).toEqual(SHUT);
  });

  test('killed in the middle, of the agent and of what keeps it, all stays closed and comes to be kept again', async () => {
    keeper?.signal('SIGKILL');
    await keeper?.finished(5_000);
    agent.process.signal('SIGKILL');
    await agent.process.finished(5_000);
    expect(await shut()).toEqual(SHUT);
    // As after a start of the host: by what the agent kept.
    await rootCheck(data, 'nft', 'flush', 'ruleset');
    keeper = lab.startAsRoot(data, [weft, 'guard', 'keep', '--data', agent.dataDir]);
    await until('it is closed before the agent is up', shut, isShut, SETTLED_MS);
    // Turned off in the moment before it was closed: what is not wanted any more goes, though no agent ever gave it a number.
    const kept = `${agent.dataDir}/guard.json`;
    renameSync(kept, `${kept}.aside`);
    await until('the late table is gone', ruleset, (text) => !text.includes('weft_guard'), SETTLED_MS);
    renameSync(`${kept}.aside`, kept);
    await until('it is closed again', shut, isShut, SETTLED_MS);
    writeFileSync(kept, '{');
    await keeper.output(/guard\.json in .* cannot be read .*what is closed stays so/);
    expect(await shut()).toEqual(SHUT);
    await agent.restart();
    await until(
      'it is kept',
      async () => (await guard('status')).stdout,
      (text) => /kept +yes/.test(text),
      SETTLED_MS,
    );
    expect(await tcp(web, 'redis')).toBe('said');
    expect(JSON.parse(readFileSync(kept, 'utf8'))).toMatchObject({ version: 1, range: RANGE });

    expect((await guard('off')).code).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await ruleset()).toBe('');
    expect(await past()).toEqual(OPEN);
    await until(
      'what is open is told',
      () => agent.problems(),
      (codes) => codes.includes('exposed'),
      SETTLED_MS,
    );
  });

  test('one that nothing keeps is told of', async () => {
    keeper?.signal('SIGTERM');
    expect(await keeper?.finished(5_000)).toMatchObject({ code: 0 });
    const on = await guard('on');
    expect(on).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing keeps it') });
    await until(
      'it is told',
      () => agent.problems(),
      (codes) => codes.includes('guard-not-kept'),
      SETTLED_MS,
    );
    await guard('off');
    // It looks now and then.
    await until(
      'it is told no more',
      () => agent.problems(),
      (codes) => !codes.includes('guard-not-kept'),
      SETTLED_MS,
    );
  });
});
