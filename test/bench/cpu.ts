/** CPU time, of a few processes and of the machine, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Cpu } from './types.ts';

/** The unit of /proc's times on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Spent {
  readonly parent: number;
  readonly ticks: number;
}

/** One line of /proc/PID/stat. Children that ended count with their parent, so that none drops out of a difference. */
export function parseProcessStat(line: string): Spent {
  // The name may hold spaces and brackets; what follows its last bracket does not.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const at = (index: number): number => Number(fields[index] ?? 0);
  return { parent: at(1), ticks: at(11) + at(12) + at(13) + at(14) };
}

/** The first line of /proc/stat, without idle, I/O wait and what other machines took. */
export function parseMachineStat(text: string): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (text.split('\n')[0] ?? '')
    .split(/\s+/)
    .map(Number);
  return user + nice + system + irq + softirq;
}

/** The ids, and those of all their descendants. */
export function withDescendants(ids: readonly number[], processes: ReadonlyMap<number, Spent>): ReadonlySet<number> {
  const found = new Set(ids);
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const [id, { parent }] of processes) if (found.has(parent)) found.add(id);
  }
  return found;
}

function readProcesses(): ReadonlyMap<number, Spent> {
  const processes = new Map<number, Spent>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      processes.set(Number(entry), parseProcessStat(readFileSync(`/proc/${entry}/stat`, 'utf8')));
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return processes;
}

function readCpu(ids: readonly number[]): Cpu | undefined {
  if (process.platform !== 'linux') return undefined;
  const processes = readProcesses();
  let own = 0;
  for (const id of withDescendants(ids, processes)) own += processes.get(id)?.ticks ?? 0;
  const machine = parseMachineStat(readFileSync('/proc/stat', 'utf8'));
  return { own: own / TICKS_PER_SECOND, machine: machine / TICKS_PER_SECOND };
}

interface Metered {
  readonly processes: readonly { readonly pid: number }[];
}

/** Runs the action; answers what it answers, and what was spent meanwhile. */
export async function metered<T>({ processes }: Metered, action: () => Promise<T>): Promise<[T, Cpu | undefined]> {
  const ids = processes.map(({ pid }) => pid);
  const before = readCpu(ids);
  const result = await action();
  const after = readCpu(ids);
  if (before === undefined || after === undefined) return [result, undefined];
  return [result, { own: after.own - before.own, machine: after.machine - before.machine }];
}
