/** The network that the guides make, and what tests of real programs want beside them: seven hosts, their servers, a shop, a worker. */
import { globSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type Guide, readGuide } from '../harness/guide.ts';
import { createNamespaceLab, type Host, type NamespaceLab } from '../harness/host.ts';
import type { Process } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

export const GUIDES: readonly Guide[] = [
  readGuide('docs/guides/memcached.md'),
  readGuide('docs/guides/mongodb.md'),
  readGuide('docs/guides/postgres.md'),
  readGuide('docs/guides/rabbitmq.md'),
  readGuide('docs/guides/redis-bullmq.md'),
];

/** What the guides take for there, and more. */
const MESH = `
network: prod
services:
  web:       { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  mailer:    { kind: worker }
  resolver:  { kind: private, ports: [5353/udp, 5353] }
  statsd:    { kind: private, ports: [8125/udp] }
  smtp:      { kind: private, ports: [25] }
policies: []
tests: []
`;
const AGENT_FILES = `
data-1: { services: { resolver: {}, statsd: {} } }
data-2: { services: {} }
queue-1: { services: {} }
web-1: { services: { web: {} } }
work-1: { services: { mailer: {} } }
edge-1: { services: {}, gateway: { http: "0.0.0.0:8080" } }
`;

const NAMES = ['data-1', 'data-2', 'queue-1', 'web-1', 'work-1', 'edge-1'] as const;
type Name = (typeof NAMES)[number];

interface MeshFile {
  readonly services: Record<string, unknown>;
  readonly policies: unknown[];
  readonly tests: unknown[];
}

interface AgentFile {
  readonly services: Record<string, unknown>;
}

export const POSTGRES = globSync('/usr/lib/postgresql/*/bin')[0] ?? '/usr/lib/postgresql';

export interface World extends AsyncDisposable {
  readonly lab: NamespaceLab;
  readonly control: Control;
  readonly hosts: Record<Name, Host>;
  readonly agents: Record<Name, Agent>;
  readonly servers: Map<string, Process>;
}

export async function createWorld(): Promise<World> {
  const lab = await createNamespaceLab();
  try {
    const main = await lab.host('main');
    const hosts = Object.fromEntries(
      await Promise.all(NAMES.map(async (name) => [name, await lab.host(name)])),
    ) as Record<Name, Host>;
    const { mesh, agentFiles } = written(hosts);
    const starting = startServers(hosts);
    const control = await Control.start(main);
    await control.apply(stringify(mesh));
    const agents: Partial<Record<Name, Agent>> = {};
    // One after the other: instances are numbered as their hosts join.
    for (const name of NAMES) {
      const file = agentFiles[name];
      const services = Object.keys(file.services);
      const scope = services.length === 0 ? ['--gateway'] : ['--services', services.join(',')];
      const token = await control.token('--host', name, ...scope);
      agents[name] = await Agent.start(hosts[name], { token, config: stringify(file) });
    }
    const servers = await starting;
    await until(
      'every service has a healthy instance',
      async () => JSON.parse(await control.ok('services', '--json')),
      ({ services }: { services: { instances: { healthy: boolean }[] }[] }) => {
        const instances = services.flatMap((service) => service.instances);
        return instances.length === 11 && instances.every((instance) => instance.healthy);
      },
      SETTLED_MS,
    );
    const dispose = () => lab[Symbol.asyncDispose]();
    return { lab, control, hosts, agents: agents as World['agents'], servers, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

/** Writes the guides' files on their hosts; answers those of Weft, each guide's part in one. */
function written(hosts: Record<Name, Host>): { mesh: MeshFile; agentFiles: Record<Name, AgentFile> } {
  const mesh: MeshFile = parse(MESH);
  const agentFiles: Record<Name, AgentFile> = parse(AGENT_FILES);
  for (const { files } of GUIDES) {
    for (const { name, hosts: on, text } of files) {
      if (name === 'mesh.yaml') {
        const more: MeshFile = parse(text);
        Object.assign(mesh.services, more.services);
        mesh.policies.push(...more.policies);
        mesh.tests.push(...more.tests);
      }
      for (const each of on) {
        if (name === 'weft.yaml') {
          Object.assign(agentFiles[each as Name].services, (parse(text) as AgentFile).services);
        } else {
          writeFileSync(join(hosts[each as Name].dir, name), text);
        }
      }
    }
  }
  // As `npm install` leaves them where the guides' programs are.
  for (const host of Object.values(hosts)) symlinkSync('/mnt/node_modules', join(host.dir, 'node_modules'));
  return { mesh, agentFiles };
}

async function startServers(hosts: Record<Name, Host>): Promise<Map<string, Process>> {
  const { 'data-1': data, 'data-2': data2, 'queue-1': queue, 'web-1': web, 'work-1': work } = hosts;
  const shell = (host: Host, script: string, env: NodeJS.ProcessEnv = {}): Process =>
    host.start(['sh', '-ec', `cd "$HOME"\n${script}`], { env });
  const fixture = (host: Host, name: string, ...args: string[]): Process =>
    host.start(['node', `test/fixtures/${name}.ts`, ...args]);
  const mongo = (host: Host): Process => fixture(host, 'mongo-server', join(host.dir, 'mongod.conf'));
  const servers: [string, Process, RegExp][] = [
    [
      'rabbit',
      shell(queue, 'exec /usr/lib/rabbitmq/bin/rabbitmq-server', rabbitEnvironment(queue)),
      /startup complete/,
    ],
    ['postgres', shell(data, postgres), /ready to accept connections/],
    ['redis', shell(data, 'exec redis-server redis.conf --loglevel verbose'), /Ready to accept connections/],
    ['memcached', shell(data, "exec memcached $(grep '^-' memcached.conf) -vv"), /server listening/],
    ['mongo0', mongo(data), /ready/],
    ['mongo1', mongo(data2), /ready/],
    ['mongo2', mongo(queue), /ready/],
    ['resolver', shell(data, resolver), /started/],
    ['statsd', fixture(data, 'statsd-server', '8125'), /ready/],
    ['web', fixture(web, 'web-shop', '3000', 'redis://:change-me@redis'), /ready/],
    // A worker's program that listens, as programs do: it must be reached by nobody.
    ['mailer', fixture(work, 'echo-server', '9000'), /ready/],
  ];
  // RabbitMQ's own start takes longer than that of all others.
  await Promise.all(servers.map(([, process, ready]) => process.output(ready, 60_000)));
  return new Map(servers.map(([name, process]) => [name, process]));
}

/** As Debian makes a cluster, with the guide's lines at the end of its files; nothing is kept from a crash. */
export const postgres = `
${POSTGRES}/initdb --username=postgres --auth=trust --no-sync --pgdata=postgres >/dev/null
cat postgresql.conf >> postgres/postgresql.conf
cat pg_hba.conf >> postgres/pg_hba.conf
exec ${POSTGRES}/postgres -D postgres -k "$HOME" -c log_connections=on -c fsync=off`;

const resolver = `exec dnsmasq --keep-in-foreground --conf-file=/dev/null --port=5353 --listen-address=127.0.0.1 \
  --bind-interfaces --no-resolv --no-hosts --user= --group= --pid-file= --cache-size=10000 \
  --address=/load.example/192.0.2.7 --log-facility=- --log-queries=extra`;

/** RabbitMQ as an ordinary user: all it keeps in the host's folder. What it listens on, the guide says. */
export function rabbitEnvironment(host: Host, plugins: readonly string[] = ['rabbitmq_management']): NodeJS.ProcessEnv {
  writeFileSync(join(host.dir, 'enabled_plugins'), `[${plugins.join()}].\n`);
  return {
    HOME: host.dir,
    RABBITMQ_CONFIG_FILE: `${host.dir}/rabbitmq.conf`,
    RABBITMQ_CONF_ENV_FILE: `${host.dir}/rabbitmq-env.conf`,
    RABBITMQ_MNESIA_BASE: `${host.dir}/mnesia`,
    RABBITMQ_LOG_BASE: `${host.dir}/log`,
    RABBITMQ_LOGS: '-',
    RABBITMQ_ENABLED_PLUGINS_FILE: `${host.dir}/enabled_plugins`,
    RABBITMQ_PID_FILE: `${host.dir}/rabbit.pid`,
    ERL_FLAGS: '+S 1:1',
  };
}
