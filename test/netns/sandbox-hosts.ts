/** Two hosts and a control for tests of `weft run`: data serves redis and echo, and front may run web, mailer and inner in sandboxes. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { createNamespaceLab, type Host, type NamespaceLab } from '../harness/host.ts';
import type { Finished, Process, StartOptions } from '../harness/process.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';

/** What is run there; some files want more. */
export const SANDBOX_PROGRAMS = ['perl', 'unshare', 'python3', 'nc', 'nft', 'redis-server', 'redis-cli'] as const;

export const MESH = (rules = '') => `
network: prod
services:
  redis:  { kind: private, ports: [6379] }
  echo:   { kind: private, ports: [7000, 7000/udp, 80] }
  web:    { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com] } }
  mailer: { kind: worker }
  inner:  { kind: private, ports: [4000, 4000/udp, 4001] }
${rules}
`;

/** Answers with who calls, over both transports, at 7000 and 80. */
const ECHO = `
const net = require('net'), udp = require('dgram').createSocket('udp4');
const tell = (socket) => socket.on('error', () => {}).end(socket.remoteAddress + '\\n');
net.createServer(tell).listen(80, '127.0.0.1');
net.createServer(tell).listen(7000, '127.0.0.1', () => {
  udp.on('message', (said, from) => udp.send(from.address + ' ' + said, from.port, from.address));
  udp.bind(7000, '127.0.0.1', () => console.log('ready'));
});`;

/** A shell with job control on a terminal of its own, as a person has it, that runs the command of the argument. */

/** Of `weft status --json`. */
export interface SandboxSeen {
  readonly pid: number;
  readonly service: string;
  readonly user: string;
}

/** Made before the first test of the file, and ended after the last; what a test started on front is ended after each. */
export class SandboxHosts {
  lab!: NamespaceLab;
  control!: Control;
  data!: Host;
  front!: Host;
  agent!: Agent;
  readonly #cleanup = new AsyncDisposableStack();
  /** Of the test under way. */
  readonly #started: Process[] = [];

  constructor() {
    beforeAll(() => this.#make(), 60_000);
    afterAll(() => this.#cleanup.disposeAsync());
    afterEach(async () => {
      await Promise.all(this.#started.splice(0).map((each) => each.kill()));
      await this.none();
    });
  }

  readonly start = (command: readonly string[], options: StartOptions = {}, host = this.front): Process => {
    const each = host.start(command, options);
    this.#started.push(each);
    return each;
  };

  readonly argv = (service: string, ...command: readonly string[]): string[] => [
    'weft',
    'run',
    '--service',
    service,
    '--data',
    this.agent.dataDir,
    '--',
    ...command,
  ];

  readonly run = (service: string, command: readonly string[], options: StartOptions = {}): Promise<Finished> =>
    this.front.run(this.argv(service, ...command), options);

  readonly shell = async (script: string, service = 'web'): Promise<string> => {
    const { stdout, stderr } = await this.run(service, ['bash', '-c', script]);
    return stdout + stderr;
  };

  readonly sandboxes = async (): Promise<readonly SandboxSeen[]> =>
    (await this.agent.status<{ sandboxes: SandboxSeen[] }>()).sandboxes;

  /** Waits until the agent lists no sandbox. */
  readonly none = (): Promise<unknown> =>
    until('the agent lists none', this.sandboxes, ({ length }) => length === 0, SETTLED_MS);

  async #make(): Promise<void> {
    this.lab = this.#cleanup.use(await createNamespaceLab());
    this.control = await Control.start(await this.lab.host('main'));
    await this.control.apply(MESH());
    this.data = await this.lab.host('data');
    this.front = await this.lab.host('front');
    const echo = this.data.start(['node', '-e', ECHO]);
    const redis = this.data.start([
      'redis-server',
      '--protected-mode',
      'no',
      '--save',
      '',
      '--port',
      '6379',
      '--bind',
      '127.0.0.1',
    ]);
    await Promise.all([echo.output(/ready/), redis.output(/Ready to accept/)]);
    const token = await this.control.token('--host', 'front', '--services', 'web,mailer,inner');
    [this.agent] = await Promise.all([
      Agent.start(this.front, { token, config: 'services: {}' }),
      Agent.join(this.control, this.data, ['redis', 'echo']),
    ]);
    await until(
      'services answer',
      async () => (await this.front.run(['nc', '-w2', 'echo', '7000'])).stdout,
      (heard) => heard !== '',
      SETTLED_MS,
    );
  }
}
