/** The demo's child processes: started with this very Node, ended by id when the demo ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
export const weft = join(root, 'packages', 'agent', 'bin', 'weft.js');
export const weftControl = join(root, 'packages', 'control', 'bin', 'weft-control.js');

/** One that has used no processor and said nothing for so long does not come up; one that works may take longer, on a slow machine. */
const QUIET_MS = 30_000;
const LONGEST_MS = 600_000;
const LOOK_MS = 1_000;

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Programs {
  private readonly children: ChildProcess[] = [];
  private readonly log: string;
  private stopped: boolean = false;

  /** `log` takes what the programs write to stderr. */
  constructor(log: string) {
    this.log = log;
  }

  /** Starts a program that stays, and answers the match of its ready line. */
  async start(argv: readonly string[], ready: RegExp, env: NodeJS.ProcessEnv = {}): Promise<RegExpExecArray> {
    if (this.stopped) throw new Error(`${argv.join(' ')}: the demo ends`);
    const child = this.spawn(argv, env);
    this.children.push(child);
    let output = '';
    let errors = '';
    return new Promise((resolve, reject) => {
      const begun = Date.now();
      let worked = begun;
      let used = '';
      const timer = setInterval(() => {
        const now = Date.now();
        const uses = processorTime(child.pid);
        if (uses !== used) worked = now;
        used = uses;
        if (now - worked < QUIET_MS && now - begun < LONGEST_MS) return;
        clearInterval(timer);
        const advice = 'end what else keeps this machine busy, and run the demo again';
        const seconds = Math.round((now - begun) / 1_000);
        reject(new Error(`${argv.join(' ')}: not ready after ${seconds} s; ${advice}\n${output}${errors}`));
      }, LOOK_MS);
      child.stdout?.on('data', (text: string) => {
        worked = Date.now();
        output = (output + text).slice(-65_536);
        const match = ready.exec(output);
        if (match === null) return;
        clearInterval(timer);
        resolve(match);
      });
      child.stderr?.on('data', (text: string) => {
        errors = (errors + text).slice(-65_536);
        appendFileSync(this.log, text);
      });
      child.once('exit', (code) => {
        clearInterval(timer);
        reject(new Error(`${argv.join(' ')}: exit ${code}\n${output}${errors}`));
      });
    });
  }

  /** Runs a program to its end. */
  async run(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Answer> {
    const child = this.spawn(argv, env);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) => {
      child.once('close', (code) => resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() }));
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
        await gone;
        clearTimeout(timer);
      }),
    );
  }

  private spawn(argv: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(process.execPath, [...argv], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.setEncoding('utf8');
    child.stderr?.setEncoding('utf8');
    return child;
  }
}

/** What a program has used of the processor, as the kernel counts it; nothing where it has ended. */
function processorTime(pid: number | undefined): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return `${fields[11]} ${fields[12]}`;
  } catch {
    return '';
  }
}
