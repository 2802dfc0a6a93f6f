/** What an installation costs: how long its programs take to start, and what they hold when nothing moves. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Costs {
  /** `weft --version`, the best of five, milliseconds. */
  readonly versionMs: number;
  /** From its start until an agent that has joined before says that it is ready, milliseconds. */
  readonly agentReadyMs: number;
  readonly controlReadyMs: number;
  /** Resident memory twelve seconds after the start, mebibytes: an agent has given back by then, where it was left in peace. */
  readonly agentMebibytes: number;
  readonly controlMebibytes: number;
}

const IDLE_MS = 12_000;
const MESH = 'network: measured\nservices:\n  redis: { kind: private, ports: [6379] }\n';

/** `binaries` is the folder that holds weft and weft-control. */
export async function measure(binaries: string): Promise<Costs> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-measure-'));
  const running: ChildProcess[] = [];
  const start = async (name: string, args: readonly string[]) => {
    const began = performance.now();
    const child = spawn(join(binaries, name), args, { stdio: ['ignore', 'pipe', 'ignore'] });
    running.push(child);
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith(`${name} ready:`)) return { child, line, ms: performance.now() - began };
    }
    throw new Error(`${name} ended before it was ready`);
  };
  try {
    const weft = (...args: string[]) => execFileSync(join(binaries, 'weft'), args, { encoding: 'utf8' });
    const versions = [1, 2, 3, 4, 5].map(() => {
      const began = performance.now();
      weft('--version');
      return performance.now() - began;
    });
    const controlData = join(dir, 'control');
    const control = await start('weft-control', [
      ...['serve', '--data', controlData, '--listen', '127.0.0.1:0', '--dashboard', '127.0.0.1:0'],
    ]);
    const [, address = ''] = /listening on (\S+),/.exec(control.line) ?? [];
    const admin = ['--control', address, '--admin-token-file', join(controlData, 'admin.token')];
    const mesh = join(dir, 'mesh.yaml');
    writeFileSync(mesh, MESH);
    weft('apply', '-f', mesh, ...admin);
    const token = weft('token', 'create', '--network', 'measured', '--services', 'redis', ...admin).trim();
    const up = ['up', '--data', join(dir, 'agent'), '--tunnel', '127.0.0.1:0', '--dns', '127.0.0.1:0', '--vip-range'];
    const first = await start('weft', [...up, '127.240.0.0/12', '--join', token]);
    first.child.kill();
    await once(first.child, 'exit');
    const agent = await start('weft', [...up, '127.240.0.0/12']);
    await sleep(IDLE_MS);
    return {
      versionMs: Math.min(...versions),
      agentReadyMs: agent.ms,
      controlReadyMs: control.ms,
      agentMebibytes: residentMebibytes(agent.child),
      controlMebibytes: residentMebibytes(control.child),
    };
  } finally {
    for (const child of running) if (child.exitCode === null && child.signalCode === null) child.kill();
    await Promise.all(running.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    rmSync(dir, { recursive: true });
  }
}

function residentMebibytes({ pid }: ChildProcess): number {
  const [, kibibytes = ''] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kibibytes) / 1_024;
}
