/** What versions were compared, as the programs themselves say. */
import type { Host } from '../harness/host.ts';
import { POSTGRES_PROGRAM } from './servers.ts';
import type { Stage } from './stage.ts';

/** Two numbers or more with points between them, and how near to a release; not what a packager wrote behind them. */
const VERSION = /\d+(\.\d+)+(-(alpha|beta|rc)[\w.]*)?/;

/** The first version in what the command prints, whatever its exit code: some call it an error to be asked. */
export async function askVersion(host: Pick<Host, 'run'>, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs: 10_000 });
  const version = VERSION.exec(`${stdout}\n${stderr}`)?.[0];
  if (version !== undefined && code !== 126 && code !== 127) return version;
  const said = `${stdout}${stderr}`.trim().slice(0, 200);
  throw new Error(`${argv.join(' ')}: told no version: exit ${code}${said === '' ? '' : `, ${said}`}`);
}

/** Programs of servers and loads, by what tells their version. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  iperf3: ['iperf3', '--version'],
  redis: ['redis-server', '--version'],
  nginx: ['nginx', '-v'],
  pgbench: ['pgbench', '--version'],
  dnsperf: ['dnsperf', '-h'],
  PostgreSQL: [POSTGRES_PROGRAM, '--version'],
  RabbitMQ: ['dpkg-query', '--show', 'rabbitmq-server'],
  OpenSSL: ['openssl', 'version'],
  haproxy: ['haproxy', '-v'],
};

/** Of those that are installed; one that tells none is passed over. */
export async function loadVersions(stage: Stage): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  for (const [name, [program = '', ...args]] of Object.entries(LOADS)) {
    if (!stage.installed(program)) continue;
    const version = await askVersion(stage.client, [stage.program(program), ...args]).catch(() => undefined);
    if (version !== undefined) versions.set(name, version);
  }
  return versions;
}
