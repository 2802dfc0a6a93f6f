/** The network that the tests of real programs share: six hosts, five private services, a shop in front, a worker behind. */
import { createNamespaceLab, type Host, type NamespaceLab } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

export const MESH = `
network: prod
services:
  web:       { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  redis:     { kind: private, ports: [6379] }
  memcached: { kind: private, ports: [11211] }
  rabbit:    { kind: private, ports: [5672, 15672] }
  mongo:     { kind: private, ports: [27017] }
  resolver:  { kind: private, ports: [5353/udp, 5353] }
  statsd:    { kind: private, ports: [8125/udp] }
  echo:      { kind: private, ports: [7000] }
  smtp:      { kind: private, ports: [25] }
  mailer:    { kind: worker }
policies:
  - { name: no-admin-ui, action: deny, from: [web], to: [rabbit], ports: [15672] }
tests:
  - { from: web, to: "redis:6379", expect: allow }
  - { from: web, to: "rabbit:15672", expect: deny }
`;

/** Hosts by what runs there. */
export interface World extends AsyncDisposable {
  readonly lab: NamespaceLab;
  readonly control: Control;
  readonly hosts: {
    readonly data: Host;
    readonly queue: Host;
    readonly web: Host;
    readonly work: Host;
    readonly edge: Host;
  };
  readonly agents: Record<'data' | 'queue' | 'web' | 'work' | 'edge', Agent>;
  readonly servers: Map<string, Process>;
}

export async function createWorld(): Promise<World> {
  const lab = await createNamespaceLab();
  try {
    const main = await lab.host('main');
    const control = await Control.start(main);
    await control.apply(MESH);
    const hosts = {
      data: await lab.host('data'),
      queue: await lab.host('queue'),
      web: await lab.host('web'),
      work: await lab.host('work'),
      edge: await lab.host('edge'),
    };
    const servers = await startServers(hosts);
    const join = async (host: Host, services: string, config: string, ...scope: string[]): Promise<Agent> => {
      const names = services === '' ? [] : ['--services', services];
      const token = await control.ok('token', 'create', '--network', 'prod', ...names, '--host', host.name, ...scope);
      return Agent.start(host, { token, config });
    };
    const agents = {
      data: await join(
        hosts.data,
        'redis,memcached,mongo,resolver,statsd,echo',
        'services: { redis: {}, memcached: {}, mongo: {}, resolver: {}, statsd: {}, echo: {} }',
      ),
      queue: await join(hosts.queue, 'rabbit,mongo', 'services: { rabbit: {}, mongo: {} }'),
      web: await join(hosts.web, 'web', 'services: { web: {} }'),
      work: await join(hosts.work, 'mailer', 'services: { mailer: {} }'),
      edge: await join(hosts.edge, '', 'gateway: { http: "0.0.0.0:8080" }', '--gateway'),
    };
    await until(
      'every service has a healthy instance',
      async () => JSON.parse(await control.ok('services', '--json')),
      (services: { instances: { healthy: boolean }[] }[]) => {
        const instances = services.flatMap((service) => service.instances);
        return instances.length === 10 && instances.every((instance) => instance.healthy);
      },
      SETTLED_MS,
    );
    return { lab, control, hosts, agents, servers, [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

async function startServers(hosts: World['hosts']): Promise<Map<string, Process>> {
  const { data, queue, web, work } = hosts;
  const members = ['0.mongo.internal:27017', '1.mongo.internal:27017'];
  const fixture = (name: string, ...args: string[]): string[] => ['node', `test/fixtures/${name}.ts`, ...args];
  const servers = new Map<string, Process>([
    [
      'redis',
      data.start([
        'redis-server',
        '--port',
        '6379',
        '--bind',
        '127.0.0.1',
        '--protected-mode',
        'no',
        '--save',
        '',
        '--loglevel',
        'verbose',
        '--dir',
        data.dir,
      ]),
    ],
    ['memcached', data.start(['memcached', '-l', '127.0.0.1', '-p', '11211', '-vv'])],
    ['mongo0', data.start(fixture('mongo-server', '27017', members[0] ?? '', members[0] ?? '', ...members))],
    ['mongo1', queue.start(fixture('mongo-server', '27017', members[1] ?? '', members[0] ?? '', ...members))],
    [
      'resolver',
      data.start([
        'dnsmasq',
        '--keep-in-foreground',
        '--conf-file=/dev/null',
        '--port=5353',
        '--listen-address=127.0.0.1',
        '--bind-interfaces',
        '--no-resolv',
        '--no-hosts',
        '--user=',
        '--group=',
        '--pid-file=',
        '--cache-size=10000',
        '--address=/load.example/192.0.2.7',
        '--log-facility=-',
        '--log-queries=extra',
      ]),
    ],
    ['statsd', data.start(fixture('statsd-server', '8125'))],
    ['echo', data.start(fixture('echo-server', '7000'))],
    ['rabbit', queue.start(['/usr/lib/rabbitmq/bin/rabbitmq-server'], { env: rabbitEnvironment(queue) })],
    ['web', web.start(fixture('web-shop', '3000', 'redis'))],
    // A worker's program that listens, as programs do: it must be reached by nobody.
    ['mailer', work.start(fixture('echo-server', '9000'))],
  ]);
  await Promise.all([
    servers.get('redis')?.output(/Ready to accept connections/),
    servers.get('memcached')?.output(/server listening/),
    servers.get('resolver')?.output(/started/),
    // Its own start takes longer than that of all others.
    servers.get('rabbit')?.output(/completed with \d+ plugins|Starting broker\.\.\. completed/, 60_000),
    ...['mongo0', 'mongo1', 'statsd', 'echo', 'web', 'mailer'].map((name) => servers.get(name)?.output(/ready/)),
  ]);
  return servers;
}

/** RabbitMQ as an ordinary user: all it keeps in the host's folder, and nothing on any address but loopback. */
export function rabbitEnvironment(host: Host): NodeJS.ProcessEnv {
  return {
    HOME: host.dir,
    RABBITMQ_NODENAME: 'rabbit@localhost',
    RABBITMQ_MNESIA_BASE: `${host.dir}/mnesia`,
    RABBITMQ_LOG_BASE: `${host.dir}/log`,
    RABBITMQ_LOGS: '-',
    RABBITMQ_ENABLED_PLUGINS_FILE: `${host.dir}/enabled_plugins`,
    RABBITMQ_PID_FILE: `${host.dir}/rabbit.pid`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
}
