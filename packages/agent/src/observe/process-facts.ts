/** What this process may do on its host, as the kernel tells it: the agent asks for itself, and a command for what an agent started so could. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileLimit } from '@weft/proto';

export interface ProcessFacts {
  /** Of its user; null where the system has none. */
  readonly uid: number | null;
  /** Files that it may have open; null where the system does not tell. */
  readonly filesLimit: number | null;
  readonly filesOpen: number;
  /** The lowest port that it may listen on; null where the system does not tell. */
  readonly lowestPort: number | null;
  /** The systemd unit that it runs in; empty for none. */
  readonly unit: string;
  /** Whether that is one of a user's own systemd, and not of the host's; an agent of before does not tell. */
  readonly userUnit?: boolean;
}

/** Of capabilities(7), its bit in CapEff. */
const CAP_NET_BIND_SERVICE = 10n;

/** `proc`: where the kernel tells of processes. */
export function processFacts(proc = '/proc'): ProcessFacts {
  const limit = fileLimit();
  const cgroup = read(`${proc}/self/cgroup`);
  return {
    uid: process.getuid?.() ?? null,
    filesLimit: Number.isFinite(limit) ? limit : null,
    filesOpen: count(`${proc}/self/fd`),
    lowestPort: lowestPort(proc),
    unit: /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1] ?? '',
    userUnit: /\/user@\d+\.service\//.test(cgroup),
  };
}

function lowestPort(proc: string): number | null {
  const [, capabilities] = /^CapEff:\s+([0-9a-f]+)$/m.exec(read(`${proc}/self/status`)) ?? [];
  if (capabilities !== undefined && ((BigInt(`0x${capabilities}`) >> CAP_NET_BIND_SERVICE) & 1n) === 1n) return 1;
  const start = read(`${proc}/sys/net/ipv4/ip_unprivileged_port_start`).trim();
  return /^\d+$/.test(start) ? Number(start) : null;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function count(path: string): number {
  try {
    return readdirSync(path).length;
  } catch {
    return 0;
  }
}
