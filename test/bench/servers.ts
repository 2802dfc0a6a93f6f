/** The servers that all peers lead to. What is light is started at each of the server host's addresses, what is heavy once at all of them. */
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Host } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';

export const SERVERS = ['redis', 'iperf', 'answer', 'web', 'postgres', 'rabbit'] as const;
export type ServerName = (typeof SERVERS)[number];

export interface Server {
  /** Programs that it takes, by name or path. */
  readonly programs: readonly string[];
  /** One for all addresses, some of which are only there later. */
  readonly once: boolean;
  /** Listens on the port of these addresses when this resolves. What is to be ended by SIGINT before all else is killed is put in `orderly`. */
  start(host: Host, port: number, addresses: readonly string[], orderly: Process[]): Promise<void>;
}

const POSTGRES = globSync('/usr/lib/postgresql/*/bin').at(-1) ?? '/usr/lib/postgresql';
/** The server itself. */
export const POSTGRES_PROGRAM = `${POSTGRES}/postgres`;
const RABBIT = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const NGINX = 'nginx';
/** Programs that compile or make a database first. */
const SLOW_MS = 90_000;

/** Values of these sizes stand in redis, each under its size. */
export const VALUE_SIZES = [1_024, 16_384] as const;

async function startRedis(host: Host, port: number, [address = '']: readonly string[]): Promise<void> {
  const settings = { port, bind: address, save: '', appendonly: 'no', 'protected-mode': 'no' };
  const argv = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  await host.start(['redis-server', ...argv]).output(/Ready to accept connections/);
  // GET should find something.
  const values = VALUE_SIZES.map((size) => [`value-${size}`, 'x'.repeat(size)] as const);
  for (const [key, value] of [['key:__rand_int__', 'VXK'] as const, ...values]) {
    await host.check(['redis-cli', '-h', address, '-p', `${port}`, '-x', 'set', key], { input: value });
  }
}

async function startIperf(host: Host, port: number, [address = '']: readonly string[]): Promise<void> {
  const argv = ['iperf3', '--server', '--port', `${port}`, '--bind', address, '--forceflush'];
  await host.start(argv).output(/listening/);
}

async function startAnswer(host: Host, port: number, addresses: readonly string[]): Promise<void> {
  await host.start(['node', 'test/bench/programs/answer-server.ts', `${port}`, ...addresses]).output(/ready/);
}

/** nginx as an ordinary user: everything that it would keep elsewhere is in the host's folder. */
async function startWeb(host: Host, port: number, addresses: readonly string[]): Promise<void> {
  const folder = join(host.dir, 'nginx');
  mkdirSync(join(folder, 'www'), { recursive: true });
  writeFileSync(join(folder, 'www', 'answer'), 'x'.repeat(1_024));
  const kept = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(host.dir, `nginx-${name}`)};`,
  );
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${join(host.dir, 'nginx.pid')}; error_log stderr warn;
events { worker_connections 2000; }
http { access_log off; keepalive_requests 100000000; ${kept.join(' ')}
  server { ${addresses.map((address) => `listen ${address}:${port};`).join(' ')} root ${join(folder, 'www')}; default_type text/plain; } }
`,
  );
  const server = host.start([NGINX, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]);
  // It listens at all of them, or ends.
  await listening(host, server, port, addresses.slice(0, 1));
}

/** Its memory in files of its own, and ended in order: in the machine's shared memory it would leave what it has when it is killed. */
async function startPostgres(
  host: Host,
  port: number,
  addresses: readonly string[],
  orderly: Process[],
): Promise<void> {
  const script = `set -e; cd "$HOME"; mkdir -p pg; cd pg
"$0"/initdb --username=postgres --auth=trust --locale=C --no-sync --pgdata=data > /dev/null
echo 'host all all 0.0.0.0/0 trust' >> data/pg_hba.conf
exec "$0"/postgres -D data -k "$PWD" -p "$1" -c listen_addresses="$2" -c fsync=off -c dynamic_shared_memory_type=mmap`;
  const database = host.start(['sh', '-c', script, POSTGRES, `${port}`, addresses.join()]);
  orderly.push(database);
  await database.output(/ready to accept connections/, SLOW_MS);
  const fill = ['pgbench', '--initialize', '--quiet', '--host', addresses[0] ?? '', '--port', `${port}`];
  await host.check([...fill, '--username', 'postgres', 'postgres'], { timeoutMs: SLOW_MS });
}

async function startRabbit(host: Host, port: number, addresses: readonly string[]): Promise<void> {
  const folder = join(host.dir, 'rabbit');
  await host.check(['mkdir', folder]);
  const listeners = addresses.map((address, index) => `listeners.tcp.${index + 1} = ${address}:${port}`);
  writeFileSync(join(folder, 'rabbit.conf'), `${listeners.join('\n')}\nloopback_users = none\n`);
  writeFileSync(join(folder, 'plugins'), '[].\n');
  // Erlang's other ports, of this node alone.
  const inside = `-kernel inet_dist_use_interface {127,0,0,1}`;
  const env = {
    HOME: folder,
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbit.conf'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_LOGS: '-',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_NODENAME: `bench${process.pid}@localhost`,
    RABBITMQ_DIST_PORT: `${port + 1_000}`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: inside,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: `${port + 2_000}`,
    ERL_FLAGS: '+S 1:1',
  };
  // Erlang's own start of it would leave it behind, as a daemon of nobody's.
  const names = host.start(['epmd', '-port', env.ERL_EPMD_PORT, '-address', '127.0.0.1']);
  await listening(host, names, Number(env.ERL_EPMD_PORT), ['127.0.0.1']);
  await host.start([RABBIT], { env }).output(/Server startup complete|Starting broker\.\.\. completed/, SLOW_MS);
}

/** A server that says nothing when it listens. */
async function listening(host: Host, server: Process, port: number, addresses: readonly string[]): Promise<void> {
  const argv = ['node', 'test/bench/programs/await-listener.ts', `${port}`, ...addresses];
  const waited = await host.run(argv, { timeoutMs: 20_000 });
  if (waited.code !== 0 || !server.running) {
    throw new Error(
      `${basename(server.name)}: does not listen on ${port}: ${server.stderr.slice(-300)}${waited.stderr}`,
    );
  }
}

export const servers: Readonly<Record<ServerName, Server>> = {
  redis: { programs: ['redis-server', 'redis-cli'], once: false, start: startRedis },
  iperf: { programs: ['iperf3'], once: false, start: startIperf },
  answer: { programs: [], once: false, start: startAnswer },
  web: { programs: [NGINX], once: true, start: startWeb },
  postgres: { programs: [`${POSTGRES}/initdb`, POSTGRES_PROGRAM, 'pgbench'], once: true, start: startPostgres },
  rabbit: { programs: [RABBIT, 'epmd'], once: true, start: startRabbit },
};
