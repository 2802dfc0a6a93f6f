/** Control and agents as real processes on this machine's loopback, and the programs that load them. */
import dns from 'node:dns/promises';
import { join } from 'node:path';
import { freePort } from '../../../examples/demo/ports.ts';
import { createLocalLab, type Host, type Lab } from '../../harness/host.ts';
import type { Process } from '../../harness/process.ts';
import { until } from '../../harness/until.ts';
import { Agent, Control } from '../../harness/weft.ts';

const NETWORK = 'limits';

/** A service's ports, and the ports of 127.0.0.1 that serve them. */
export type Targets = Readonly<Record<string, Readonly<Record<number, number>>>>;

export interface LimitAgent {
  readonly name: string;
  readonly pid: number;
  readonly process: Process;
  readonly tunnelPort: number;
  readonly dnsPort: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export class LimitMesh implements AsyncDisposable {
  readonly control: Control;
  readonly #lab: Lab;
  readonly #machine: Host;
  readonly #signal: AbortSignal;
  readonly #abort: () => void;
  #agents = 0;

  private constructor(control: Control, lab: Lab, machine: Host, signal: AbortSignal) {
    this.control = control;
    this.#lab = lab;
    this.#machine = machine;
    this.#signal = signal;
    // With its processes ended, whatever waits for one of them fails at once.
    this.#abort = () => void Promise.resolve(this.#lab[Symbol.asyncDispose]()).catch(() => undefined);
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** `services` is that part of a mesh file. */
  static async start(services: string, signal: AbortSignal): Promise<LimitMesh> {
    signal.throwIfAborted();
    const lab = createLocalLab();
    try {
      const machine = await lab.host('control');
      const control = await Control.start(machine, { control: await freePort(), dashboard: await freePort() });
      await control.apply(`network: ${NETWORK}\nservices:\n${services}`);
      return new LimitMesh(control, lab, machine, signal);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Joins and starts an agent that serves these. */
  async agent(
    name: string,
    serves: Targets,
    { tunnel, args = [], env }: { tunnel?: number; args?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
  ): Promise<LimitAgent> {
    const services = Object.keys(serves);
    const scope = services.length === 0 ? [] : ['--services', services.join(',')];
    const token = await this.control.ok('token', 'create', '--network', NETWORK, '--host', name, ...scope);
    const shared = {
      tunnel: tunnel ?? (await freePort()),
      dns: await freePort(),
      range: `127.${(120 + 10 * (process.pid % 10) + this.#agents++).toString()}.0.0/16`,
    };
    const plain = await this.#lab.host(name);
    // Beside what an agent is started with anyway.
    const host: Host = {
      ...plain,
      start: (argv, options) => plain.start(argv, { ...options, env: { ...options?.env, ...env } }),
    };
    const agent = await Agent.start(host, { token, config: agentFile(serves), shared, args });
    this.#signal.throwIfAborted();
    const { pid } = agent.process;
    return { name, pid, process: agent.process, tunnelPort: shared.tunnel, dnsPort: shared.dns };
  }

  /** Where the service is called on the agent's host, once a call from there would arrive. */
  async place(agent: LimitAgent, service: string, port: number): Promise<Address> {
    await until(
      `a path from ${agent.name} to ${service}:${port}`,
      () => this.control.ok('explain', `host:${agent.name}`, `${service}:${port}`, '--json'),
      (answer) => JSON.parse(answer).break_point === 'none',
      20_000,
    );
    const resolver = new dns.Resolver({ timeout: 2_000, tries: 3 });
    resolver.setServers([`127.0.0.1:${agent.dnsPort}`]);
    const [host] = await resolver.resolve4(`${service}.internal`);
    if (host === undefined) throw new Error(`${agent.name} has no address for ${service}`);
    return { host, port };
  }

  /** Starts one of the programs beside this file. */
  program(name: string, ...args: readonly (string | number)[]): Process {
    return this.run([process.execPath, join(import.meta.dirname, 'programs', `${name}.ts`), ...args.map(String)]);
  }

  /** The same, of one that listens: answers the port it says, too. */
  async server(name: string, ...args: readonly (string | number)[]): Promise<{ process: Process; port: number }> {
    const started = this.program(name, ...args);
    const [, port] = await started.output(/listening (\d+)/);
    return { process: started, port: Number(port) };
  }

  run(argv: readonly string[]): Process {
    this.#signal.throwIfAborted();
    return this.#machine.start(argv);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    await this.#lab[Symbol.asyncDispose]();
  }
}

/** The last line of what a program that ended well has said, as JSON. */
export async function answerOf<T>(program: Process, timeoutMs: number): Promise<T> {
  const { code, stdout, stderr } = await program.finished(timeoutMs);
  if (code !== 0) throw new Error(`${program.name}: exit ${code}\n${stdout}${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
}

function agentFile(serves: Targets): string {
  const services = Object.entries(serves).map(([name, ports]) => {
    const targets = Object.entries(ports).map(([port, target]) => `${port}: "127.0.0.1:${target}"`);
    return `  ${name}: { targets: { ${targets.join(', ')} } }\n`;
  });
  return services.length === 0 ? 'services: {}\n' : `services:\n${services.join('')}`;
}
