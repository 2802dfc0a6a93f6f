/** CPU time, of a few processes and of the machine, as the kernel counts it. */
import { readdirSync, readFileSync } from 'node:fs';
import { defined } from '@weft/proto';
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

interface Metered {
  readonly processes: readonly { readonly pid: number }[];
  readonly ends?: { readonly client: { readonly pid: number }; readonly server: { readonly pid: number } };
}

function readCpu({ processes, ends }: Metered): Cpu | undefined {
  if (process.platform !== 'linux') return undefined;
  const all = readProcesses();
  const spent = (those: readonly { readonly pid: number }[]): number => {
    const ids = withDescendants(
      those.map(({ pid }) => pid),
      all,
    );
    let ticks = 0;
    for (const id of ids) ticks += all.get(id)?.ticks ?? 0;
    return ticks / TICKS_PER_SECOND;
  };
  const machine = parseMachineStat(readFileSync('/proc/stat', 'utf8')) / TICKS_PER_SECOND;
  const each = ends && { client: spent([ends.client]), server: spent([ends.server]) };
  const resident = ends && { client: residentOf(ends.client.pid), server: residentOf(ends.server.pid) };
  return { own: spent(processes), machine, ...defined({ ends: each, resident }) };
}

/** MiB; none of a process that has ended. */
function residentOf(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

/** Runs the action; answers what it answers, and what was spent meanwhile. */
export async function metered<T>(whose: Metered, action: () => Promise<T>): Promise<[T, Cpu | undefined]> {
  const before = readCpu(whose);
  const result = await action();
  const after = readCpu(whose);
  if (before === undefined || after === undefined) return [result, undefined];
  const ends = before.ends &&
    after.ends && {
      client: after.ends.client - before.ends.client,
      server: after.ends.server - before.ends.server,
    };
  return [
    result,
    {
      own: after.own - before.own,
      machine: after.machine - before.machine,
      ...defined({ ends, resident: after.resident }),
    },
  ];
}
