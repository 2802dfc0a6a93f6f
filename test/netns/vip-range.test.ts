/** VIPs outside loopback, on hosts whose root has made a range local, beside a neighbour that routes it at one of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespaceLab, type Host, hostsMissing, type NamespaceLab, titled } from '../harness/host.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

const missing = await hostsMissing('nc', 'dig', 'redis-server', 'redis-cli');

const RANGE = '100.80.0.0/12';
const LOCAL = ['local', RANGE, 'dev', 'lo'];
const MESH = `
network: prod
services:
  redis:  { kind: private, ports: [6379] }
  statsd: { kind: private, ports: [8125/udp] }
  web:    { kind: web, ports: [3000] }
`;

describe.skipIf(missing !== undefined)(titled('--vip-range outside loopback', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let lab: NamespaceLab;
  let control: Control;
  let data: Host;
  let web: Host;
  let neighbour: Host;
  let redis = '';
  let statsd = '';

  const asRoot = async (host: Host, ...argv: readonly string[]): Promise<void> => {
    const { code, stderr } = await lab.startAsRoot(host, argv).finished(5_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  };
  const token = (...scope: string[]) => control.ok('token', 'create', '--network', 'prod', ...scope);
  const vip = async (name: string) => (await data.check(['dig', '@127.0.0.1', '+short', `${name}.internal`])).trim();
  const problems = async (host = data): Promise<readonly string[]> => {
    const { agent } = JSON.parse((await host.run(['weft', 'status', '--data', `${host.dir}/agent`, '--json'])).stdout);
    return agent.problems.map(({ code }: { code: string }) => code);
  };
  const refused = async (): Promise<number> => {
    const text = await data.check([
      'node',
      '-e',
      'fetch("http://127.0.0.1:9465/metrics").then(async (a) => console.log(await a.text()))',
    ]);
    return Number(/^weft_agent_callers_refused_total (\d+)$/m.exec(text)?.[1]);
  };
  /** What a datagram, or a word on a connection, gets for an answer. */
  const says = async (from: Host, word: string, ...to: string[]): Promise<string> =>
    (await from.run(['sh', '-c', 'printf "$0" | timeout 3 nc "$@"', word, ...to])).stdout;

  beforeAll(async () => {
    lab = cleanup.use(await createNamespaceLab());
    control = await Control.start(await lab.host('main'));
    await control.apply(MESH);
    [data, web, neighbour] = [await lab.host('data'), await lab.host('web'), await lab.host('neighbour')];
  });
  afterAll(async () => cleanup.disposeAsync());

  test('is refused where it is not local, with the command for root, and works for an ordinary user once it is', async () => {
    const args = ['--vip-range', RANGE, '--metrics', '127.0.0.1:9465'];
    const early = await data.run(['weft', 'up', '--join', await token(), '--data', `${data.dir}/early`, ...args]);
    expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining(`ip route add ${LOCAL.join(' ')}`) });

    for (const host of [data, web]) await asRoot(host, 'ip', 'route', 'add', ...LOCAL);
    const server = ['redis-server', '--port', '6379', '--bind', '127.0.0.1', '--save', '', '--dir', data.dir];
    await data.start(server).output(/Ready to accept connections/);
    await data.start(['node', 'test/fixtures/statsd-server.ts', '8125']).output(/ready/);
    await Agent.start(data, {
      token: await token('--host', 'data', '--services', 'redis,statsd'),
      config: 'services: { redis: {}, statsd: {} }',
      args,
    });
    await Agent.start(web, {
      token: await token('--host', 'web', '--services', 'web'),
      config: 'services: { web: {} }',
      args,
    });
    await until('statsd answers', () => says(web, '?', '-u', '-w1', 'statsd', '8125'), Boolean, SETTLED_MS);
    [redis, statsd] = [await vip('redis'), await vip('statsd')];
    expect(redis).toMatch(/^100\.80\./);

    // Redis takes nobody outside 127.0.0.0/8 for its own host, and in protected mode nobody else.
    expect(await web.check(['redis-cli', '-h', 'redis', 'ping'])).toContain(
      'DENIED Redis is running in protected mode',
    );
    await data.check(['redis-cli', '-h', '127.0.0.1', 'config', 'set', 'protected-mode', 'no']);
    for (const host of [web, data]) {
      const caller = /addr=(100\.8\d\.\d+\.\d+):/.exec(
        await host.check(['redis-cli', '-h', 'redis', 'client', 'info']),
      );
      expect(caller?.[1], host.name).toBeDefined();
      const name = await data.check(['dig', '@127.0.0.1', '+short', '-x', caller?.[1] ?? '']);
      expect(name).toBe(host === web ? 'web.internal.\n' : 'data.host.internal.\n');
    }
    expect(await problems()).toEqual([]);
  });

  test('no neighbour that routes the range here gets a word in, and its tries are told', async () => {
    const before = JSON.parse(await says(data, '?', '-u', '-w1', '127.0.0.1', '8125'));
    const connections = () => data.check(['sh', '-c', 'redis-cli -h 127.0.0.1 info stats | grep total_connections']);
    const known = Number((await connections()).replace(/\D/g, ''));
    await asRoot(neighbour, 'ip', 'route', 'add', RANGE, 'via', data.address);
    // Its packets do get there: the very host answers to what it listens to everywhere.
    expect((await neighbour.run(['timeout', '3', 'nc', '-z', redis, '7410'])).code).toBe(0);

    expect(await says(neighbour, 'PING\\r\\n', '-q1', redis, '6379')).toBe('');
    expect(await says(neighbour, 'shop.orders:1', '-u', '-w1', statsd, '8125')).toBe('');
    expect(await refused()).toBe(2);
    expect(await problems()).toEqual(['foreign-callers']);
    // By the service's own addresses, too: those the kernel takes from nobody else.
    await asRoot(neighbour, 'ip', 'address', 'add', '100.80.0.77/32', 'dev', 'lo');
    expect(await says(neighbour, 'shop.orders:1', '-u', '-w1', '-s', '100.80.0.77', statsd, '8125')).toBe('');
    expect(await refused()).toBe(2);

    expect(JSON.parse(await says(data, '?', '-u', '-w1', '127.0.0.1', '8125'))).toEqual(before);
    expect(Number((await connections()).replace(/\D/g, ''))).toBe(known + 1);
    const flows = await control.ok('flows', '--network', 'prod', '--json');
    expect(flows).not.toContain(neighbour.address);
  });

  test('nor where the range is of loopback, and the kernel was told to let it in', async () => {
    const plain = await lab.host('plain');
    for (const host of [plain, neighbour]) await asRoot(host, 'sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1');
    await Agent.start(plain, { token: await token('--host', 'plain') });
    await until('redis answers', () => says(plain, 'PING\\r\\n', '-q1', 'redis', '6379'), Boolean, SETTLED_MS);
    expect(await problems(plain)).toEqual(['loopback-open']);
    await asRoot(neighbour, 'ip', 'route', 'del', 'local', '127.0.0.0/8', 'dev', 'lo');
    await asRoot(neighbour, 'ip', 'route', 'add', '127.80.0.0/12', 'via', plain.address);
    expect((await neighbour.run(['timeout', '3', 'nc', '-z', '127.80.0.1', '7410'])).code).toBe(0);
    const loopback = (await plain.check(['dig', '@127.0.0.1', '+short', 'redis.internal'])).trim();
    expect(await says(neighbour, 'PING\\r\\n', '-q1', loopback, '6379')).toBe('');
    expect(await problems(plain)).toEqual(['foreign-callers', 'loopback-open']);
    expect(await says(plain, 'PING\\r\\n', '-q1', loopback, '6379')).toBe('+PONG\r\n');
  });

  test('a range that is lost is a problem, and works again when it is back', async () => {
    await asRoot(data, 'ip', 'route', 'del', ...LOCAL);
    await until(
      'the loss is told',
      () => problems(),
      (codes) => codes.includes('vip-range-lost'),
    );
    await asRoot(data, 'ip', 'route', 'add', ...LOCAL);
    await until(
      'the return is told',
      () => problems(),
      (codes) => !codes.includes('vip-range-lost'),
    );
    for (const host of [web, data]) expect(await host.check(['redis-cli', '-h', 'redis', 'ping'])).toBe('PONG\n');
  });
});
