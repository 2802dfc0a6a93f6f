/** Weft: control and two agents, their built binaries, driven as an operator drives them. */
import { until } from '../../harness/until.ts';
import { Agent, Control } from '../../harness/weft.ts';
import type { Endpoint, Path } from '../path.ts';
import type { Stage } from '../stage.ts';
import type { Peer } from '../types.ts';

export const NAMES = ['redis', 'iperf', 'answer'] as const;

interface ListedService {
  readonly service: { readonly name: string };
  readonly instances: readonly { readonly healthy: boolean }[];
}

interface WeftOptions {
  /** Handed on to `weft up`. */
  readonly workers: string | undefined;
}

export function createWeft({ workers }: WeftOptions): Peer {
  const args = workers === undefined ? [] : ['--workers', workers];
  return {
    name: 'weft',
    missing: () => undefined,
    async start(stage): Promise<Path> {
      await stage.serve('127.0.0.1');
      const ports = { control: await stage.port(), dashboard: await stage.port() };
      const control = await Control.start(stage.main, ports);
      await control.apply(mesh(stage));
      const server = await Agent.start(stage.server, {
        token: await token(control, 'server', NAMES.join()),
        config: `services: { ${NAMES.map((name) => `${name}: {}`).join()} }`,
        args,
        ...(await shared(stage, 0)),
      });
      const away = await shared(stage, 1);
      const client = await Agent.start(stage.client, {
        token: await token(control, 'client', 'load'),
        config: 'services: { load: {} }',
        args,
        ...away,
      });
      await healthy(control, stage.servers);
      const dns = { host: '127.0.0.1', port: away.shared?.dns ?? 53 };
      const addresses = new Map<number, string>();
      for (const name of NAMES) addresses.set(stage.ports[name], await resolve(stage, dns, name));
      const at = (port: number): Endpoint | undefined => {
        const host = addresses.get(port);
        return host === undefined ? undefined : { host, port };
      };
      const processes = [client.process, server.process, control.process];
      const path = {
        tcp: at,
        udp: at,
        dns,
        processes,
      };
      await stage.reachable(path);
      return path;
    },
  };
}

function mesh({ ports: { redis, iperf, answer } }: Stage): string {
  return `
network: bench
services:
  redis:  { kind: private, ports: [${redis}] }
  iperf:  { kind: private, ports: [${iperf}, ${iperf}/udp] }
  answer: { kind: private, ports: [${answer}] }
  load:   { kind: worker }
`;
}

/** What tells two agents apart where both hosts are this machine. */
async function shared(stage: Stage, agent: number): Promise<Pick<Agent['options'], 'shared'>> {
  if (stage.made !== undefined) return {};
  const range = `127.${200 + agent + 2 * (process.pid % 10)}.0.0/16`;
  return { shared: { tunnel: await stage.port(), dns: await stage.port(), range } };
}

function token(control: Control, host: string, services: string): Promise<string> {
  return control.ok('token', 'create', '--network', 'bench', '--services', services, '--host', host);
}

async function healthy(control: Control, servers: readonly string[]): Promise<void> {
  await until(
    'every server that runs is a healthy instance',
    async () => JSON.parse(await control.ok('services', '--json')) as readonly ListedService[],
    (listed) =>
      servers.every((name) =>
        listed.find(({ service }) => service.name === name)?.instances.some((one) => one.healthy),
      ),
  );
}

async function resolve({ client }: Stage, dns: Endpoint, name: string): Promise<string> {
  const argv = ['node', 'test/bench/programs/resolve.ts', `${dns.host}:${dns.port}`, `${name}.internal`];
  return (await client.check(argv)).trim();
}
