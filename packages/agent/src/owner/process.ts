/** What the kernel tells of a process in /proc/PID. What the process itself may write there (comm, cmdline) is not asked. */
import { readlinkSync, statSync } from 'node:fs';
import { oneOf } from './lister.ts';
import { readSmall } from './read-small.ts';

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
    const uid = userOf(at);
    if (uid === undefined) return undefined;
    let groups: ReturnType<typeof readCgroups> | undefined;
    let program: string | undefined;
    // Another may have its number by now.
    const ifSame = <T>(read: T, otherwise: T) => (beganAt(pid, proc) === began ? read : otherwise);
    return factsOf(
      { pid, began, parent, uid },
      () => {
        groups ??= ifSame(readCgroups(at), NO_GROUPS);
        return groups;
      },
      () => {
        program ??= ifSame(programAt(at), '');
        return program;
      },
    );
  } catch {
    return undefined;
  }
}

/** Of which groups and program are read when they are asked for. */
export function factsOf(
  known: Pick<ProcessFacts, 'pid' | 'began' | 'parent' | 'uid'>,
  grouped: () => Groups,
  program: () => string,
): ProcessFacts {
  return {
    ...known,
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
      return program();
    },
  };
}

/** Effective user; undefined where it is not told. Throws when it is gone. */
export function userOf(at: string): number | undefined {
  const { uid } = statSync(at);
  // Root's also where the process is another user's and may not be looked into, as one that has dropped its rights.
  if (uid !== 0) return uid;
  return toldUser(readSmall(`${at}/status`));
}

/** Effective user, of what `status` says (proc_pid_status(5)). */
export function toldUser(status: string): number | undefined {
  const said = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1];
  return said === undefined ? undefined : Number(said);
}

/** Of what failed in /proc/PID: it has ended, or such a one has none of that. */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}

/** Numbers of the process and of all that it descends from, and of the first of all. */
export function parentsOf(self: number): ReadonlySet<number> {
  const found = new Set([1]);
  for (let pid = self; pid > 0 && !found.has(pid); pid = readProcess(pid)?.parent ?? 0) found.add(pid);
  return found;
}

/** Whether this agent may not see which files it has. */
export function isHidden(pid: number): boolean {
  try {
    oneOf(`/proc/${pid}/fd`);
    return false;
  } catch {
    return true;
  }
}

/** Whether it is known to be in another network namespace. */
export function isElsewhere(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net');
  } catch {
    return false;
  }
}

export type Groups = Pick<ProcessFacts, 'cgroups' | 'unit' | 'within'>;

export const NO_GROUPS: Groups = { cgroups: [], unit: '', within: '' };

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
  const text = readSmall(`${at}/stat`);
  const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(words[1]), began: Number(words[19]) };
}

function readCgroups(at: string): Groups {
  try {
    return readGroups(readSmall(`${at}/cgroup`));
  } catch {
    return NO_GROUPS;
  }
}

/** Of what `cgroup` says. */
export function readGroups(text: string): Groups {
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

/** Whether a holder may be who made the socket in the control group at this path; empty for the root, undefined where it is not known. */
export function mayHaveMade({ cgroups }: Pick<ProcessFacts, 'cgroups'>, path: string | undefined): boolean {
  // One of another group has it from the maker, or has been moved since.
  return path === undefined || path === '' || cgroups.includes(path);
}

const REPLACED = ' (deleted)';

export function programAt(at: string): string {
  try {
    const path = readlinkSync(`${at}/exe`);
    return path.endsWith(REPLACED) ? path.slice(0, -REPLACED.length) : path;
  } catch {
    // Another user's, or a thread of the kernel.
    return '';
  }
}
