/** Weft's own programs on a test's hosts, driven as an operator does: by their commands, but for what is looked at again and again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatHostPort } from '@weft/proto';
import { snakeKeys } from '../../packages/agent/src/cli/json.ts';
import { readLocalStatus } from '../../packages/agent/src/observe/status-client.ts';
import type { Host } from './host.ts';
import type { Finished, Process } from './process.ts';

/** A running control, and the commands that an operator gives it from the same host. */
export class Control {
  readonly host: Host;
  readonly listen: string;
  process: Process;
  private readonly dashboard: string;
  private readonly args: readonly string[];
  private readonly fileLimit: number | undefined;
  private files = 0;

  private constructor(
    host: Host,
    listen: string,
    dashboard: string,
    args: readonly string[],
    fileLimit: number | undefined,
  ) {
    this.fileLimit = fileLimit;
    this.host = host;
    this.listen = listen;
    this.dashboard = dashboard;
    this.args = args;
    this.process = this.launch();
  }

  static async start(
    host: Host,
    ports: { control: number; dashboard: number } = { control: 7400, dashboard: 7480 },
    args: readonly string[] = [],
    fileLimit?: number,
  ) {
    const dashboard = `127.0.0.1:${ports.dashboard}`;
    const control = new Control(host, formatHostPort(host.address, ports.control), dashboard, args, fileLimit);
    await control.process.output(/ready/);
    return control;
  }

  get dataDir(): string {
    return join(this.host.dir, 'control');
  }

  get env(): NodeJS.ProcessEnv {
    return { WEFT_CONTROL: this.listen, WEFT_ADMIN_TOKEN_FILE: join(this.dataDir, 'admin.token') };
  }

  /** After the process was killed. */
  async restart(...more: readonly string[]): Promise<void> {
    this.process = this.launch(more);
    await this.process.output(/ready/);
  }

  async weft(...args: readonly string[]): Promise<Finished> {
    return this.host.run(['weft', ...args], { env: this.env });
  }

  /** Runs a command that must succeed; answers its stdout, trimmed. */
  async ok(...args: readonly string[]): Promise<string> {
    return (await this.host.check(['weft', ...args], { env: this.env })).trim();
  }

  /** A join token for the network "prod", with what narrows it: `--host NAME`, `--services NAMES`. */
  async token(...scope: readonly string[]): Promise<string> {
    return this.ok('token', 'create', '--network', 'prod', ...scope);
  }

  /** Writes a mesh file on control's host, for commands that take one. */
  meshFile(yaml: string): string {
    const file = join(this.host.dir, `mesh-${++this.files}.yaml`);
    writeFileSync(file, yaml);
    return file;
  }

  async apply(yaml: string, ...args: readonly string[]): Promise<string> {
    return this.ok('apply', '-f', this.meshFile(yaml), '--yes', ...args);
  }

  private launch(more: readonly string[] = []): Process {
    const argv = [
      'weft-control',
      'serve',
      '--data',
      this.dataDir,
      '--listen',
      this.listen,
      '--dashboard',
      this.dashboard,
      ...this.args,
      ...more,
    ];
    return this.host.start(limited(argv, this.fileLimit));
  }
}

export interface AgentOptions {
  /** The agent file, YAML. */
  readonly config?: string;
  readonly token?: string;
  /** What tells agents apart that share a machine. */
  readonly shared?: { readonly tunnel: number; readonly dns: number; readonly range: string };
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Files that it may have open, soft and hard limit. */
  readonly fileLimit?: number;
}

/** Of `weft status --json`, what tests look at. */
export interface AgentStatus {
  readonly revision: number;
  readonly stale_since?: string | null;
  readonly problems: readonly { readonly code: string; readonly subject: string; readonly message: string }[];
  readonly tunnel: {
    readonly peers: readonly { readonly host: string; readonly tunnels: number; readonly path_size: number }[];
  };
}

function limited(argv: readonly string[], fileLimit: number | undefined): readonly string[] {
  return fileLimit === undefined ? argv : ['sh', '-c', 'ulimit -n "$0" && exec "$@"', String(fileLimit), ...argv];
}

/** A running agent. */
export class Agent {
  readonly host: Host;
  readonly options: AgentOptions;
  process: Process;

  private constructor(host: Host, options: AgentOptions) {
    this.host = host;
    this.options = options;
    this.process = this.launch(options.token);
  }

  static async start(host: Host, options: AgentOptions): Promise<Agent> {
    const agent = new Agent(host, options);
    await agent.process.output(/weft ready/);
    return agent;
  }

  /** Joins the network "prod" by a token for this host and these services, and runs them. */
  static async join(
    control: Control,
    host: Host,
    services: readonly string[] = [],
    options: Omit<AgentOptions, 'config' | 'token'> = {},
  ): Promise<Agent> {
    const named = ['--host', host.name];
    if (services.length === 0) return Agent.start(host, { ...options, token: await control.token(...named) });
    const token = await control.token(...named, '--services', services.join(','));
    const config = `services: { ${services.map((each) => `${each}: {}`).join(', ')} }`;
    return Agent.start(host, { ...options, token, config });
  }

  get dataDir(): string {
    return join(this.host.dir, 'agent');
  }

  /** What `weft status --json` tells of the agent, asked where that asks: the command itself takes half a second of a processor, and this is asked again and again. */
  async status<Told = AgentStatus>(): Promise<Told> {
    const told = await readLocalStatus(this.dataDir);
    if (told === undefined) throw new Error(`no agent runs in ${this.dataDir}`);
    return snakeKeys(told) as Told;
  }

  /** Codes of the problems that stand. */
  async problems(): Promise<readonly string[]> {
    return (await this.status()).problems.map(({ code }) => code);
  }

  /** Starts it again, without a token, from what it keeps. */
  async restart(): Promise<void> {
    this.process = this.launch(undefined);
    await this.process.output(/weft ready/);
  }

  private launch(token: string | undefined): Process {
    const { config, shared, args = [], env, fileLimit } = this.options;
    const file = join(this.host.dir, 'weft.yaml');
    if (config !== undefined) writeFileSync(file, config);
    // What is open when a test ends need not finish.
    const argv = ['weft', 'up', '--data', this.dataDir, '--drain', '0'];
    if (config !== undefined) argv.push('--config', file);
    if (shared === undefined) argv.push('--dns', '127.0.0.1:53');
    else {
      argv.push(
        '--tunnel',
        `127.0.0.1:${shared.tunnel}`,
        '--dns',
        `127.0.0.1:${shared.dns}`,
        '--vip-range',
        shared.range,
      );
    }
    argv.push(...args);
    // By the environment, so that the token stands in no process list.
    const told = token === undefined ? env : { ...env, WEFT_JOIN: token };
    return this.host.start(limited(argv, fileLimit), told === undefined ? {} : { env: told });
  }
}
