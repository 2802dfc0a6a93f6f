/** Child processes of a test: started, watched, and ended by id. */

import { type ChildProcess, spawn } from 'node:child_process';
import { defined } from '@weft/proto';
import { SETTLED_MS } from './until.ts';

/** Commands of ours wait by themselves, the longest for what all agents enforce; after this one is killed. */
export const COMMAND_MS = 30_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
}

/** A child whose output is kept, up to a bound, so that a failure can show it. */
export class Process {
  readonly name: string;
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly exit: Promise<number | null>;
  private exitCode: number | null | undefined;
  private readonly watchers = new Set<() => void>();

  constructor(argv: readonly string[], options: StartOptions = {}) {
    const [command, ...args] = argv;
    if (command === undefined) throw new Error('an empty command');
    this.name = argv.join(' ');
    this.child = spawn(command, args, {
      env: options.env ?? process.env,
      ...defined({ cwd: options.cwd }),
      // A group of its own: wrappers such as `ip netns exec` are ended together with what they started.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-1_000_000);
      this.notify();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-1_000_000);
      this.notify();
    });
    this.child.stdin?.on('error', () => {});
    this.child.stdin?.end(options.input ?? '');
    this.exit = new Promise((resolve) => {
      const finish = (code: number | null): void => {
        this.exitCode = code;
        this.notify();
        resolve(code);
      };
      this.child.once('error', (error) => {
        this.stderr += String(error);
        finish(127);
      });
      this.child.once('close', finish);
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.name} has not started: ${this.stderr}`);
    return this.child.pid;
  }

  get running(): boolean {
    return this.exitCode === undefined;
  }

  /** Waits until the output of either stream matches; mostly that a program has started. */
  async output(pattern: RegExp, timeoutMs = SETTLED_MS): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        settle();
        reject(
          new Error(`${this.name}: ${why} before ${pattern}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`),
        );
      };
      const timer = setTimeout(() => fail(`nothing in ${timeoutMs} ms`), timeoutMs);
      const look = (): void => {
        const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (match !== null) {
          settle();
          resolve(match);
        } else if (!this.running) {
          fail(`exit ${this.exitCode}`);
        }
      };
      const settle = (): void => {
        clearTimeout(timer);
        this.watchers.delete(look);
      };
      this.watchers.add(look);
      look();
    });
  }

  async finished(timeoutMs = COMMAND_MS): Promise<Finished> {
    const timer = setTimeout(() => this.signal('SIGKILL'), timeoutMs);
    const code = await this.exit;
    clearTimeout(timer);
    return { code, stdout: this.stdout, stderr: this.stderr };
  }

  signal(name: NodeJS.Signals): void {
    if (this.child.pid === undefined || !this.running) return;
    try {
      process.kill(-this.child.pid, name);
    } catch (error) {
      // Between the last look and the signal it may have ended by itself.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async stop(): Promise<void> {
    this.signal('SIGTERM');
    await this.finished(10_000);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.finished(5_000);
  }

  private notify(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

/** Runs a command to its end. */
export async function run(
  argv: readonly string[],
  options: StartOptions & { timeoutMs?: number } = {},
): Promise<Finished> {
  return new Process(argv, options).finished(options.timeoutMs ?? COMMAND_MS);
}

/** Runs a command that must succeed, and answers its output. */
export async function check(
  argv: readonly string[],
  options: StartOptions & { timeoutMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}
