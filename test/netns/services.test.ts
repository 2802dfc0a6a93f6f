/** Real servers on real hosts, used by their own clients, unchanged, from other hosts: by the guides, as they stand, and more. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyVip } from '../harness/guide.ts';
import { type Host, hostsMissing, titled } from '../harness/host.ts';
import { until } from '../harness/until.ts';
import { createWorld, GUIDES, POSTGRES, type World } from './world.ts';

const missing = await hostsMissing(
  'redis-server',
  'redis-cli',
  'memcached',
  'memccp',
  'amqp-publish',
  'dnsmasq',
  'dnsperf',
  'dig',
  'curl',
  '/usr/lib/rabbitmq/bin/rabbitmq-server',
  'psql',
  `${POSTGRES}/initdb`,
);

/** What the guides' readers have, and what stands in for MongoDB's shell. */
const SHELL = `cd "$HOME"
sudo() { shift 2; "$@"; }
mongosh() { node /mnt/test/fixtures/mongosh.ts "$@"; }`;

describe.skipIf(missing !== undefined)(titled('real programs across hosts', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let world: World;

  beforeAll(async () => {
    world = cleanup.use(await createWorld());
  }, 180_000);
  afterAll(async () => cleanup.disposeAsync());

  const address = async (name: string): Promise<string> =>
    (await world.hosts['web-1'].check(['dig', '+short', `${name}.internal`])).trim();

  test('everything of Weft runs as an ordinary user', async () => {
    const processes = [world.control.process, ...Object.values(world.agents).map((agent) => agent.process)];
    for (const one of processes) {
      const status = await world.hosts['web-1'].check(['cat', `/proc/${one.pid}/status`]);
      expect(status).toMatch(/^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
      expect(status).toMatch(/^CapEff:\s+0+$/m);
    }
  });

  describe.concurrent('the guides, as they stand', () => {
    test.each(GUIDES)('$document', async ({ commands }) => {
      const hosts: Record<string, Host> = { main: world.control.host, ...world.hosts };
      for (const { hosts: [host = ''] = [], script, stays, prints } of commands) {
        const on = hosts[host];
        if (on === undefined) throw new Error(`there is no host ${host}`);
        const argv = ['sh', '-c', `${SHELL}\n${script}`];
        const env = on === world.control.host ? world.control.env : { PGHOST: on.dir, PGUSER: 'postgres' };
        if (stays) {
          on.start(argv, { env });
          continue;
        }
        const { code, stdout, stderr } = await on.run(argv, { env });
        expect({ host, script, code, stderr }).toMatchObject({ host, script, code: 0 });
        if (prints !== undefined) expect(anyVip(stdout).trimEnd()).toBe(anyVip(prints).trimEnd());
      }
    });
  });

  test('each server sees the callers, each by its own address, and nobody from 127.0.0.1', async () => {
    const vip = await address('web');
    expect(vip).toMatch(/^127\.(8\d|9[0-5])\./);
    const log = (name: string): string => {
      const { stdout = '', stderr = '' } = world.servers.get(name) ?? {};
      return stdout + stderr;
    };
    expect(log('redis')).toContain(`Accepted ${vip}:`);
    expect(log('redis')).not.toContain('Accepted 127.0.0.1:');
    expect(log('rabbit')).toContain(`${vip}:`);
    expect(log('rabbit')).not.toMatch(/accepting AMQP connection .*\(127\.0\.0\.1:/);
    expect(log('postgres')).toContain(`connection received: host=${vip} `);
    expect(log('mongo0')).toContain(`connection from ${vip}\n`);
  });

  test('large values and pipelines pass both ways whole', async () => {
    const script =
      'head -c 3000000 /dev/urandom | base64 -w0 > $HOME/blob && REDISCLI_AUTH=change-me redis-cli -h redis -x set blob < $HOME/blob && REDISCLI_AUTH=change-me redis-cli -h redis --raw get blob | head -c -1 | cmp - $HOME/blob && echo same';
    expect(await world.hosts['web-1'].check(['sh', '-c', script])).toContain('same');
    const pipeline =
      'yes "INCR hits" | head -20000 | REDISCLI_AUTH=change-me redis-cli -h redis --pipe && REDISCLI_AUTH=change-me redis-cli -h redis get hits';
    const pipelined = await world.hosts['web-1'].check(['sh', '-c', pipeline]);
    expect(pipelined).toContain('errors: 0, replies: 20000\n');
    expect(pipelined).toMatch(/\n20000\n$/);
  });

  test('a denied port is reset at once and the record names rule and revision', async () => {
    const { 'web-1': web } = world.hosts;
    const answer = await web.run(['curl', '-sSv', '--max-time', '4', 'http://rabbit:15672/']);
    // Whether curl had taken note of the connection, or sent its words, when the reset came is a race of its own; when it had not, only its
    // verbose words say why it could not connect.
    expect([7, 52, 55, 56]).toContain(answer.code);
    expect(answer.stderr).toMatch(/reset/i);
    const denied = await until(
      'the denied flow is listed',
      async () =>
        (await world.control.ok('flows', '--denied', '--json'))
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line)),
      (flows) => flows.some((flow) => flow.rule === 'no-admin-ui'),
    );
    expect(denied.find((flow) => flow.rule === 'no-admin-ui')).toMatchObject({
      source: 'web',
      service: 'rabbit',
      port: 15672,
    });
    expect((await world.control.weft('explain', 'web', 'rabbit:15672')).code).toBe(3);
    expect((await world.control.weft('explain', 'web', 'redis:6379')).code).toBe(0);
  });

  test("MongoDB's driver discovers the set by its members' names and uses its pool", async () => {
    const uri = 'mongodb://0.mongo.internal:27017/?replicaSet=rs0';
    const before = world.servers.get('mongo0')?.stdout.length;
    const result = JSON.parse(await world.hosts['web-1'].check(['node', 'test/fixtures/mongo-client.ts', uri]));
    expect(result).toEqual({
      found: 20,
      servers: {
        '0.mongo.internal:27017': 'RSPrimary',
        '1.mongo.internal:27017': 'RSSecondary',
        '2.mongo.internal:27017': 'RSSecondary',
      },
    });
    // A pool is several connections, all from the caller's own address.
    const pool =
      world.servers
        .get('mongo0')
        ?.stdout.slice(before)
        .match(/connection from (\S+)/g) ?? [];
    expect(pool.length).toBeGreaterThan(3);
    expect(new Set(pool)).toEqual(new Set([`connection from ${await address('web')}`]));
    expect(world.servers.get('mongo1')?.stdout).toContain(`connection from ${await address('web')}`);
  });

  test('a DNS load over UDP: the answers come, from the address that was asked', async () => {
    const { 'web-1': web } = world.hosts;
    const vip = await address('resolver');
    const load =
      'for i in $(seq 1 500); do echo "host$i.load.example A"; done > $HOME/queries; dnsperf -s $0 -p 5353 -d $HOME/queries -c 4 -Q 1500 -l 3';
    const report = await web.check(['sh', '-c', load, vip]);
    const sent = Number(/Queries sent:\s+(\d+)/.exec(report)?.[1]);
    const completed = Number(/Queries completed:\s+(\d+)/.exec(report)?.[1]);
    expect(sent).toBeGreaterThan(1_000);
    expect(completed).toBeGreaterThanOrEqual(Math.floor(sent * 0.99));
    expect(await web.check(['dig', '+short', '+tcp', '-p', '5353', `@${vip}`, 'a.load.example'])).toBe('192.0.2.7\n');
  });

  test('statsd datagrams arrive with their boundaries, from the caller', async () => {
    const report = JSON.parse(
      await world.hosts['work-1'].check(['node', 'test/fixtures/statsd-load.ts', 'statsd', '8125', '4000']),
    );
    expect(report.counted).toBeGreaterThanOrEqual(3_960);
    expect(report.callers).toHaveLength(1);
    const caller = report.callers[0] as string;
    expect(caller).not.toBe('127.0.0.1');
    expect(await world.hosts['data-1'].check(['dig', '+short', '-x', caller])).toBe('mailer.internal.\n');
  });

  test('a shop behind the gateway is public, and nothing else is', async () => {
    const { main, edge } = { main: world.control.host, edge: world.hosts['edge-1'] };
    const ask = (host: string, ...more: string[]) =>
      main.run([
        'curl',
        '-s',
        '--max-time',
        '5',
        '-o',
        '-',
        '-w',
        '\n%{http_code}',
        '-H',
        `Host: ${host}`,
        ...more,
        `http://${edge.address}:8080/offers`,
      ]);
    const shop = await ask('shop.example.com');
    expect(shop.stdout).toMatch(/"path":"\/offers".*\n200$/);
    expect(JSON.parse(shop.stdout.split('\n')[0] ?? '').forwarded).toBe(main.address);
    const refused = await Promise.all(
      ['redis', 'redis.internal', 'rabbit.internal:15672', 'mailer', 'web.internal', ''].map((host) => ask(host)),
    );
    for (const answer of refused) expect(answer.stdout).toMatch(/\n4\d\d$/);
    for (const port of [6379, 5672, 15672, 4369, 25672, 27017, 5432, 11211, 3000]) {
      for (const host of Object.values(world.hosts)) {
        expect((await main.run(['curl', '-s', '--max-time', '2', `http://${host.address}:${port}/`])).code).toBe(7);
      }
    }
  });

  test('a port that needs a privilege is told with what to do, and the rest works', async () => {
    const { 'web-1': web } = world.hosts;
    const { problems } = await world.agents['web-1'].status();
    const problem = problems.find(({ subject }) => subject.startsWith('smtp:25'));
    expect(problem).toMatchObject({ code: 'port-privileged' });
    expect(problem?.message).toContain('ip_unprivileged_port_start');
    expect(await web.check(['dig', '+short', 'smtp.internal'])).toMatch(/^127\./);
    expect(await web.check(['redis-cli', '-h', 'redis', '-a', 'change-me', '--no-auth-warning', 'ping'])).toBe(
      'PONG\n',
    );
  });

  test('names answer as they should', async () => {
    const { 'web-1': web } = world.hosts;
    const dig = async (...args: string[]) =>
      (await web.check(['dig', '+noall', '+answer', '+authority', '+comments', ...args])).trim();
    expect(await dig('redis.internal')).toMatch(/status: NOERROR[\s\S]*redis\.internal\.\s+5\s+IN\s+A\s+127\./);
    expect(await dig('redis.internal', 'AAAA')).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    for (const name of ['mailer.internal', '0.mailer.internal', 'mailer-discovery.internal', 'nothing.internal']) {
      expect(await dig(name)).toMatch(/status: NXDOMAIN[\s\S]*SOA/);
    }
    expect((await web.check(['dig', '+short', 'mongo-discovery.internal'])).trim().split('\n')).toHaveLength(3);
    expect(await web.check(['dig', '+short', '+tcp', '_27017._tcp.mongo.internal', 'SRV'])).toMatch(
      /27017 0\.mongo\.internal\.\n/,
    );
    expect(await web.check(['dig', '+short', '-x', await address('redis')])).toBe('redis.internal.\n');
  });
});
