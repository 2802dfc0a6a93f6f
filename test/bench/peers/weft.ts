/** Weft: control and two agents, their built binaries, driven as an operator drives them. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { resolve as absolute, join } from 'node:path';
import type { Host } from '../../harness/host.ts';
import { until } from '../../harness/until.ts';
import { Agent, Control } from '../../harness/weft.ts';
import type { Endpoint, Path } from '../path.ts';
import { SERVERS, type ServerName } from '../servers.ts';
import type { Stage } from '../stage.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';

interface ListedService {
  readonly service: { readonly name: string };
  readonly instances: readonly { readonly healthy: boolean }[];
}

export interface WeftOptions {
  /** Handed on to `weft up`. */
  readonly workers: string | undefined;
  /** Another checkout, built, that ordinary users may look into. */
  readonly before: string | undefined;
}

/**
 * `weft-observed`: with metrics that are read each second, and a dashboard that is open. `weft-by-user` and `weft-by-program`: the callers' host runs two
 * services with opposite rules, which are told apart so. `before`: another checkout's programs.
 */
export type WeftName = 'weft' | 'weft-observed' | 'before' | keyof typeof TOLD_BY;

/** The agent file of the callers' host; the load runs as nobody, by Node. */
const TOLD_BY = {
  'weft-by-user': 'load: { match: { user: nobody } }, other: { match: { user: daemon } }',
  'weft-by-program': 'load: { match: { command: node } }, other: { match: { command: perl } }',
} as const;

export function createWeft({ workers, before }: WeftOptions, name: WeftName): Peer {
  const told = name === 'weft-by-user' || name === 'weft-by-program' ? TOLD_BY[name] : undefined;
  const args = workers === undefined ? [] : ['--workers', workers];
  const observed = name === 'weft-observed';
  const programs = name === 'before' ? absolute(before ?? '', 'node_modules', '.bin') : undefined;
  return {
    name,
    // To be seen is compared where most happens, to know callers where most begin; by program, others than Node's are denied.
    ...(observed ? { works: ['redis'] } : told === undefined ? {} : { works: ['connect'] }),
    compiles: true,
    version: async ({ client }) => {
      const [weft = '', node = ''] = ['weft', 'node'].map((program) => join(programs ?? '', program));
      const of = await Promise.all([weft, node].map((program) => askVersion(client, [program, '--version'])));
      return `${of[0]}, Node ${of[1]}`;
    },
    missing: () => {
      if (programs === undefined) return undefined;
      if (before === undefined) return 'no --before';
      return existsSync(join(programs, 'weft')) ? undefined : `${before} is no checkout that is set up`;
    },
    async start(stage): Promise<Path> {
      await stage.serve('127.0.0.1');
      const ports = { control: await stage.port(), dashboard: await stage.port() };
      const metrics: string[] = [];
      const measured = async ({ address }: Host): Promise<readonly string[]> => {
        if (!observed) return [];
        const at = `${address}:${await stage.port()}`;
        metrics.push(`http://${at}/metrics`);
        return ['--metrics', at];
      };
      const control = await Control.start(inFolder(stage.main, name, programs), ports, await measured(stage.main));
      await control.apply(mesh(stage, told !== undefined));
      const server = await Agent.start(inFolder(stage.server, name, programs), {
        token: await token(control, 'server', SERVERS.join()),
        config: `services: { ${SERVERS.map((name) => `${name}: {}`).join()} }`,
        args: [...args, ...(await measured(stage.server)), ...(await apart(stage, 0)).args],
      });
      const away = await apart(stage, 1);
      const http = { host: '127.0.0.1', port: await stage.port() };
      const client = await Agent.start(inFolder(stage.client, name, programs), {
        token: await token(control, 'client', told === undefined ? 'load' : 'load,other', '--gateway'),
        config: `services: { ${told ?? 'load: {}'} }\ngateway: { http: "127.0.0.1:${http.port}" }`,
        args: [...args, ...(await measured(stage.client)), ...away.args],
      });
      await healthy(control, stage.servers);
      if (observed) {
        const token = join(control.dataDir, 'read.token');
        const observer = join(import.meta.dirname, '..', 'programs', 'observer.ts');
        const looking = ['node', observer, `http://127.0.0.1:${ports.dashboard}`, token, ...metrics];
        await stage.main.start(looking).output(/observing/);
      }
      const dns = { host: '127.0.0.1', port: away.dns };
      const addresses = new Map<number, string>();
      for (const name of SERVERS) addresses.set(stage.ports[name], await resolve(stage, dns, name));
      const at = (port: number): Endpoint | undefined => {
        const host = addresses.get(port);
        return host === undefined ? undefined : { host, port };
      };
      const processes = [client.process, server.process, control.process];
      const path = {
        tcp: at,
        udp: at,
        dns,
        http,
        processes,
        ends: { client: client.process, server: server.process },
      };
      await stage.reachable(path);
      return path;
    },
  };
}

/** The name that HTTP asks for, through every peer. */
export const WEB_HOST = 'web.bench';

const MORE: Partial<Record<ServerName, (port: number) => string>> = {
  iperf: (port) => `kind: private, ports: [${port}, ${port}/udp]`,
  web: (port) => `kind: web, ports: [${port}], public: { port: ${port}, hosts: [${WEB_HOST}] }`,
};

function mesh({ ports }: Stage, two: boolean): string {
  const declared = SERVERS.map((name) => {
    return `  ${name}: { ${MORE[name]?.(ports[name]) ?? `kind: private, ports: [${ports[name]}]`} }`;
  });
  return `
network: bench
services:
${declared.join('\n')}
  load:   { kind: worker }
${two ? '  other:  { kind: worker }\npolicies:\n  - { name: no-other, action: deny, from: [other], to: ["*"] }' : ''}
`;
}

/** What tells an agent from the others of its host, of which there may be several. */
async function apart(stage: Stage, agent: number): Promise<{ readonly args: readonly string[]; readonly dns: number }> {
  const [tunnel, dns] = [await stage.port(), await stage.port()];
  const range = `127.${100 + (tunnel % 75) * 2 + agent}.0.0/16`;
  const address = stage.made === undefined ? '127.0.0.1' : '0.0.0.0';
  const args = ['--tunnel', `${address}:${tunnel}`, '--dns', `127.0.0.1:${dns}`, '--vip-range', range];
  return { args, dns };
}

/** The same host, with a folder of its own in the host's, and Weft's programs from there. */
function inFolder(host: Host, name: string, programs: string | undefined): Host {
  const dir = join(host.dir, name);
  mkdirSync(dir);
  // Whoever the host's programs run as.
  chmodSync(dir, 0o1777);
  const here = (argv: readonly string[]): readonly string[] => {
    const [program = '', ...args] = argv;
    return programs !== undefined && program.startsWith('weft') ? [join(programs, program), ...args] : argv;
  };
  const { start, run, check } = host;
  const folder = Object.create(host) as Host;
  return Object.assign(folder, {
    dir,
    start: (argv, options) => start.call(folder, here(argv), options),
    run: (argv, options) => run.call(folder, here(argv), options),
    check: (argv, options) => check.call(folder, here(argv), options),
  } satisfies Partial<Host>);
}

function token(control: Control, host: string, services: string, ...more: readonly string[]): Promise<string> {
  return control.ok('token', 'create', '--network', 'bench', '--services', services, '--host', host, ...more);
}

async function healthy(control: Control, servers: readonly string[]): Promise<void> {
  await until(
    'every server that runs is a healthy instance',
    async () => JSON.parse(await control.ok('services', '--json')) as { readonly services: readonly ListedService[] },
    ({ services }) =>
      servers.every((name) =>
        services.find(({ service }) => service.name === name)?.instances.some((one) => one.healthy),
      ),
  );
}

async function resolve({ client }: Stage, dns: Endpoint, name: string): Promise<string> {
  const argv = ['node', 'test/bench/programs/resolve.ts', `${dns.host}:${dns.port}`, `${name}.internal`];
  return (await client.check(argv)).trim();
}
