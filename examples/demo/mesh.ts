/** Brings up control, two networks, and an agent per "host" on this one machine; the hosts differ by folder, ports and VIP range. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { type Answer, type Programs, weft, weftControl } from './programs.ts';

const SHOP = (policies: string): string => `network: shop
services:
  web:      { kind: web, ports: [3000, 9090], public: { port: 3000, hosts: [shop.example.com] } }
  redis:    { kind: private, ports: [6379] }
  postgres: { kind: private, ports: [5432] }
  mailer:   { kind: worker }
policies:
  - { name: metrics-stay-in, action: deny, from: [mailer], to: [web], ports: [9090] }
${policies}tests:
  - { from: mailer, to: "postgres:5432", expect: allow }
  - { from: internet, to: "postgres:5432", expect: deny }
`;
const NEIGHBOUR = `network: neighbour
services:
  spy: { kind: private, ports: [5432] }
`;

/** One agent and how its programs reach it. */
export interface DemoHost {
  readonly name: string;
  readonly dnsPort: number;
  readonly data: string;
}

export interface DemoMesh {
  readonly control: string;
  readonly dashboard: string;
  readonly tokenFile: string;
  readonly gatewayPort: number;
  readonly trapPort: number;
  readonly hosts: Record<'front' | 'data' | 'jobs' | 'edge' | 'neighbour', DemoHost>;
  /** The command line, as an operator's shell would run it. */
  weft(...args: string[]): Promise<Answer>;
  /** Applies the shop's mesh with more policies, and waits until every agent enforces it. */
  apply(policies: string): Promise<void>;
}

/** What it has started when it rejects is for the caller to stop. */
export async function startMesh(programs: Programs, dir: string, say: (line: string) => void): Promise<DemoMesh> {
  const control = `127.0.0.1:${await freePort()}`;
  const dashboard = `127.0.0.1:${await freePort()}`;
  const tokenFile = join(dir, 'control', 'admin.token');
  const admin = { WEFT_CONTROL: control, WEFT_ADMIN_TOKEN_FILE: tokenFile };

  say('control: starting');
  await programs.start(
    [weftControl, 'serve', '--data', join(dir, 'control'), '--listen', control, '--dashboard', dashboard],
    /ready/,
  );
  const command = (...args: string[]): Promise<Answer> => programs.run([weft, ...args], admin);
  const must = async (...args: string[]): Promise<string> => {
    const answer = await command(...args);
    if (answer.code !== 0) throw new Error(`weft ${args.join(' ')}: exit ${answer.code}\n${answer.stderr}`);
    return answer.stdout;
  };
  const apply = async (text: string, ...args: string[]): Promise<void> => {
    const file = join(dir, 'mesh.yaml');
    writeFileSync(file, text);
    await must('apply', '-f', file, ...args);
  };
  await apply(SHOP(''));
  await apply(NEIGHBOUR);

  let agents = 0;
  const host = async (
    name: string,
    network: string,
    options: { services?: string[]; config: (dnsPort: number) => Promise<string>; scope?: string[] },
  ): Promise<DemoHost> => {
    say(`${name}: joining ${network}`);
    const data = join(dir, name);
    mkdirSync(data);
    const dnsPort = await freePort();
    const config = join(data, 'weft.yaml');
    writeFileSync(config, await options.config(dnsPort));
    const services = options.services === undefined ? [] : ['--services', options.services.join(',')];
    const token = await must(
      'token',
      'create',
      '--network',
      network,
      '--host',
      name,
      ...services,
      ...(options.scope ?? []),
    );
    const up = ['up', '--data', data, '--config', config, '--tunnel', `127.0.0.1:${await freePort()}`];
    const range = `127.${96 + agents++}.0.0/16`;
    await programs.start([weft, ...up, '--dns', `127.0.0.1:${dnsPort}`, '--vip-range', range], /ready/, {
      WEFT_JOIN: token,
    });
    return { name, dnsPort, data };
  };

  const gatewayPort = await freePort();
  let trapPort = 0;
  const program = async (name: string, ...args: number[]): Promise<number> => {
    const argv = [join(import.meta.dirname, 'programs', `${name}.ts`), ...args.map(String)];
    return Number((await programs.start(argv, /ready (\d+)/))[1]);
  };
  const [database, redis] = await Promise.all([program('database'), program('redis')]);
  const hosts = {
    data: await host('data', 'shop', {
      services: ['postgres', 'redis'],
      config: async () =>
        `services:\n  postgres: { targets: { 5432: "127.0.0.1:${database}" } }\n  redis: { targets: { 6379: "127.0.0.1:${redis}" } }\n`,
    }),
    front: await host('front', 'shop', {
      services: ['web'],
      config: async (dnsPort) => {
        const port = await program('shop', dnsPort);
        return `services:\n  web: { targets: { 3000: "127.0.0.1:${port}", 9090: "127.0.0.1:${port}" } }\n`;
      },
    }),
    jobs: await host('jobs', 'shop', {
      services: ['mailer'],
      config: async (dnsPort) => {
        trapPort = await program('mailer', dnsPort);
        return 'services:\n  mailer: {}\n';
      },
    }),
    edge: await host('edge', 'shop', {
      scope: ['--gateway'],
      config: async () => `gateway: { http: "127.0.0.1:${gatewayPort}" }\n`,
    }),
    neighbour: await host('neighbour', 'neighbour', {
      services: ['spy'],
      config: async () => 'services:\n  spy: {}\n',
    }),
  };
  return {
    control,
    dashboard,
    tokenFile,
    gatewayPort,
    trapPort,
    hosts,
    weft: command,
    apply: (policies) => apply(SHOP(policies), '--wait'),
  };
}
