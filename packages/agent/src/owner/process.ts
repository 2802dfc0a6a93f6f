/** What the kernel tells of a process in /proc/PID. What the process itself may write there (comm, cmdline) is not asked. */
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  /** When it began, in the kernel's ticks since boot: with the number, one process and no other. */
  readonly began: number;
  readonly parent: number;
  /** Effective user. */
  readonly uid: number;
  /** Paths of its control groups, of each hierarchy that has one. */
  readonly cgroups: readonly string[];
  /** The system's systemd unit; empty for none. */
  readonly unit: string;
  /** Path of the control group of the innermost unit that it is in, a user's units too; empty for none. */
  readonly within: string;
  /** Path of its program's file, without a mark that it was replaced since; empty where this agent may not see it. */
  readonly program: string;
}

/** Undefined when it is gone. What few ask for is read when they do: nothing of it then, where it has gone meanwhile. */
export function readProcess(pid: number, proc = '/proc'): ProcessFacts | undefined {
  const at = `${proc}/${pid}`;
  try {
    const { began, parent } = readBirth(at);
    const uid = Number(/^Uid:\t\d+\t(\d+)/m.exec(readFileSync(`${at}/status`, 'latin1'))?.[1]);
    if (Number.isNaN(uid)) return undefined;
    let groups: ReturnType<typeof readCgroups> | undefined;
    let program: string | undefined;
    // Another may have its number by now.
    const same = () => beganAt(pid, proc) === began;
    const grouped = () => {
      groups ??= readCgroups(at);
      return same() ? groups : NO_GROUPS;
    };
    return {
      ...{ pid, began, parent, uid },
      get cgroups() {
        return grouped().cgroups;
      },
      get unit() {
        return grouped().unit;
      },
      get within() {
        return grouped().within;
      },
      get program() {
        program ??= readProgram(at);
        return same() ? program : '';
      },
    };
  } catch {
    return undefined;
  }
}

type Groups = Pick<ProcessFacts, 'cgroups' | 'unit' | 'within'>;

const NO_GROUPS: Groups = { cgroups: [], unit: '', within: '' };

/** Undefined when there is no such process. */
export function beganAt(pid: number, proc = '/proc'): number | undefined {
  try {
    return readBirth(`${proc}/${pid}`).began;
  } catch {
    return undefined;
  }
}

/** Behind the name, which may hold anything: state, parent, and as the 20th when it began (proc_pid_stat(5)). */
function readBirth(at: string): { readonly began: number; readonly parent: number } {
  const text = readFileSync(`${at}/stat`, 'latin1');
  const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(words[1]), began: Number(words[19]) };
}

function readCgroups(at: string): Groups {
  let text: string;
  try {
    text = readFileSync(`${at}/cgroup`, 'latin1');
  } catch {
    return NO_GROUPS;
  }
  const lines = text.split('\n');
  // "0::/path", "1:name=systemd:/path", "4:memory:/path"
  const found = lines.flatMap((line) => {
    const [, controllers = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return path === undefined ? [] : [{ controllers, path }];
  });
  // systemd's own hierarchy, or the one of version 2; what it does not manage has all at the root.
  const managed = ['name=systemd', ''].flatMap((name) => found.filter(({ controllers }) => controllers === name));
  const units = managed.map(({ path }) => unitOf(path)).filter((unit) => unit !== '');
  const within = managed.map(({ path }) => /^.*\.(service|scope|socket|mount|swap)(?=\/|$)/.exec(path)?.[0] ?? '');
  return {
    cgroups: [...new Set(found.map(({ path }) => path))],
    unit: units[0] ?? '',
    within: within.find((path) => path !== '') ?? '',
  };
}

/**
 * The first part that is no slice. A user's own manager is such a part, and so the unit of all that it starts: whoever it serves
 * cannot take the name of a unit of the system.
 */
export function unitOf(cgroup: string): string {
  const part = cgroup.split('/').find((name) => name !== '' && !name.endsWith('.slice')) ?? '';
  return /\.(service|scope|socket|mount|swap)$/.test(part) ? part : '';
}

const REPLACED = ' (deleted)';

function readProgram(at: string): string {
  try {
    const path = readlinkSync(`${at}/exe`);
    return path.endsWith(REPLACED) ? path.slice(0, -REPLACED.length) : path;
  } catch {
    // Another user's, or a thread of the kernel.
    return '';
  }
}
