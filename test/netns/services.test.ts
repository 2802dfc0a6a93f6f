/** Real servers on real hosts, used by their own clients, unchanged, from other hosts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostsMissing, titled } from '../harness/host.ts';
import { until } from '../harness/until.ts';
import { createWorld, type World } from './world.ts';

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
);

describe.skipIf(missing !== undefined)(titled('real programs across hosts', missing), () => {
  const cleanup = new AsyncDisposableStack();
  let world: World;

  beforeAll(async () => {
    world = cleanup.use(await createWorld());
  }, 180_000);
  afterAll(async () => cleanup.disposeAsync());

  const address = async (name: string): Promise<string> =>
    (await world.hosts.web.check(['dig', '+short', `${name}.internal`])).trim();

  test('everything of Weft runs as an ordinary user', async () => {
    const processes = [world.control.process, ...Object.values(world.agents).map((agent) => agent.process)];
    for (const one of processes) {
      const status = await world.hosts.web.check(['cat', `/proc/${one.pid}/status`]);
      expect(status).toMatch(/^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
      expect(status).toMatch(/^CapEff:\s+0+$/m);
    }
  });

  test('redis-cli reaches redis by its bare name, and redis sees who calls', async () => {
    const { web } = world.hosts;
    expect(await web.check(['redis-cli', '-h', 'redis', 'set', 'greeting', 'hello'])).toBe('OK\n');
    expect(await web.check(['redis-cli', '-h', 'redis.internal', 'get', 'greeting'])).toBe('hello\n');
    const vip = await address('web');
    expect(vip).toMatch(/^127\.(8\d|9[0-5])\./);
    expect(await web.check(['redis-cli', '-h', 'redis', 'client', 'list'])).toContain(`addr=${vip}:`);
    const log = world.servers.get('redis')?.stdout ?? '';
    expect(log).toContain(`Accepted ${vip}:`);
    expect(log).not.toContain('Accepted 127.0.0.1:');
  });

  test('large values and pipelines pass both ways whole', async () => {
    const script =
      'head -c 3000000 /dev/urandom | base64 -w0 > $HOME/blob && redis-cli -h redis -x set blob < $HOME/blob && redis-cli -h redis --raw get blob | head -c -1 | cmp - $HOME/blob && echo same';
    expect(await world.hosts.web.check(['sh', '-c', script])).toContain('same');
    const pipeline = 'yes "INCR hits" | head -20000 | redis-cli -h redis --pipe && redis-cli -h redis get hits';
    const pipelined = await world.hosts.web.check(['sh', '-c', pipeline]);
    expect(pipelined).toContain('errors: 0, replies: 20000\n');
    expect(pipelined).toMatch(/\n20000\n$/);
  });

  test("RabbitMQ's C client publishes and takes by name, and its log names the caller", async () => {
    const { web, work } = world.hosts;
    const url = ['--url', 'amqp://guest:guest@rabbit:5672'];
    await web.check(['amqp-declare-queue', ...url, '-q', 'mail', '-d']);
    await web.check(['amqp-publish', ...url, '-r', 'mail', '-b', 'letter one']);
    expect(await work.check(['amqp-get', ...url, '-q', 'mail'])).toContain('letter one');
    const log = world.servers.get('rabbit')?.stdout ?? '';
    expect(log).toContain(`${await address('web')}:`);
    expect(log).not.toMatch(/accepting AMQP connection .*\(127\.0\.0\.1:/);
  });

  test('a denied port is reset at once and the record names rule and revision', async () => {
    const { web } = world.hosts;
    const answer = await web.run(['curl', '-sSv', '--max-time', '4', 'http://rabbit:15672/']);
    // Whether curl had taken note of the connection when the reset came is a race of its own; when it had not, only its
    // verbose words say why it could not connect.
    expect([7, 52, 56]).toContain(answer.code);
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

  test('memcached by its own tools', async () => {
    const script =
      'printf remembered > $HOME/note && memccp --servers=memcached $HOME/note && memccat --servers=memcached note';
    expect(await world.hosts.web.check(['sh', '-c', script])).toContain('remembered');
  });

  test("MongoDB's driver discovers the set by its members' names and uses its pool", async () => {
    const uri = 'mongodb://0.mongo.internal:27017/?replicaSet=rs0';
    const result = JSON.parse(await world.hosts.web.check(['node', 'test/fixtures/mongo-client.ts', uri]));
    expect(result).toEqual({
      found: 20,
      servers: { '0.mongo.internal:27017': 'RSPrimary', '1.mongo.internal:27017': 'RSSecondary' },
    });
    // A pool is several connections, all from the caller's own address.
    const pool = world.servers.get('mongo0')?.stdout.match(/connection from (\S+)/g) ?? [];
    expect(pool.length).toBeGreaterThan(3);
    expect(new Set(pool)).toEqual(new Set([`connection from ${await address('web')}`]));
    expect(world.servers.get('mongo1')?.stdout).toContain(`connection from ${await address('web')}`);
  });

  test('a BullMQ worker takes jobs over the mesh', async () => {
    const worker = world.hosts.work.start(['node', 'test/fixtures/bullmq-worker.ts', 'redis', 'letters']);
    await worker.output(/ready/);
    const done = await world.hosts.web.check(['node', 'test/fixtures/bullmq-producer.ts', 'redis', 'letters', '200']);
    expect(JSON.parse(done)).toEqual({ done: 200 });
    await worker.stop();
  });

  test('a DNS load over UDP: the answers come, from the address that was asked', async () => {
    const { web } = world.hosts;
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
      await world.hosts.work.check(['node', 'test/fixtures/statsd-load.ts', 'statsd', '8125', '4000']),
    );
    expect(report.counted).toBeGreaterThanOrEqual(3_960);
    expect(report.callers).toHaveLength(1);
    const caller = report.callers[0] as string;
    expect(caller).not.toBe('127.0.0.1');
    expect(await world.hosts.data.check(['dig', '+short', '-x', caller])).toBe('mailer.internal.\n');
  });

  test('a shop behind the gateway is public, and nothing else is', async () => {
    const { main, edge } = { main: world.control.host, edge: world.hosts.edge };
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
    for (const port of [6379, 5672, 27017, 3000, 7000]) {
      for (const host of Object.values(world.hosts)) {
        expect((await main.run(['curl', '-s', '--max-time', '2', `http://${host.address}:${port}/`])).code).toBe(7);
      }
    }
  });

  test('a port that needs a privilege is told with what to do, and the rest works', async () => {
    const { web } = world.hosts;
    const status = JSON.parse(await web.check(['weft', 'status', '--json', '--data', world.agents.web.dataDir]));
    const problem = status.agent.problems.find(({ subject }: { subject: string }) => subject.startsWith('smtp:25'));
    expect(problem).toMatchObject({ code: 'port-privileged' });
    expect(problem.message).toContain('ip_unprivileged_port_start');
    expect(await web.check(['dig', '+short', 'smtp.internal'])).toMatch(/^127\./);
    expect(await web.check(['redis-cli', '-h', 'redis', 'ping'])).toBe('PONG\n');
  });

  test('names answer as they should', async () => {
    const { web } = world.hosts;
    const dig = async (...args: string[]) =>
      (await web.check(['dig', '+noall', '+answer', '+authority', '+comments', ...args])).trim();
    expect(await dig('redis.internal')).toMatch(/status: NOERROR[\s\S]*redis\.internal\.\s+5\s+IN\s+A\s+127\./);
    expect(await dig('redis.internal', 'AAAA')).toMatch(/status: NOERROR[\s\S]*ANSWER: 0/);
    for (const name of ['mailer.internal', '0.mailer.internal', 'mailer-discovery.internal', 'nothing.internal']) {
      expect(await dig(name)).toMatch(/status: NXDOMAIN[\s\S]*SOA/);
    }
    expect((await web.check(['dig', '+short', 'mongo-discovery.internal'])).trim().split('\n')).toHaveLength(2);
    expect(await web.check(['dig', '+short', '+tcp', '_27017._tcp.mongo.internal', 'SRV'])).toMatch(
      /27017 0\.mongo\.internal\.\n/,
    );
    expect(await web.check(['dig', '+short', '-x', await address('redis')])).toBe('redis.internal.\n');
  });
});
