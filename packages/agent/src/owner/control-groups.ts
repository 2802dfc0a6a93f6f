/**
 * Control groups of version 2 (cgroups(7)), by the number that the kernel gives for the one a socket was made in, which is that of its directory's
 * inode. No number is given twice while the system runs.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSmall } from './read-small.ts';

/** Where it alone is mounted, and beside version 1. */
const MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
/** Directories that are looked at; a group beyond is not known. */
const MOST_GROUPS = 20_000;
/** They are walked again no sooner than so many times what that takes. */
const AGAIN_SHARE = 20;

export class ControlGroups {
  readonly #mount: string | undefined;
  readonly #proc: string;
  #paths = new Map<string, string>();
  #walkMs = Number.NEGATIVE_INFINITY;

  constructor(mounts: readonly string[] = MOUNTS, proc = '/proc') {
    this.#mount = mounts.find((mount) => existsSync(join(mount, 'cgroup.controllers')));
    this.#proc = proc;
  }

  /** Whether there is no other hierarchy that says of a process what it is. */
  get alone(): boolean {
    try {
      return readSmall(`${this.#proc}/self/cgroup`).trimEnd().split('\n').length === 1;
    } catch {
      return false;
    }
  }

  /** As `pathOf`, of those that were met before. */
  knownPathOf(group: string): string | undefined {
    const known = this.#paths.get(group);
    // What is there no more stands for nobody.
    return known !== undefined && numberOf(`${this.#mount}${known}`) === group ? known : undefined;
  }

  /** As another thread of this process has found it. */
  learn(group: string, path: string): void {
    if (this.#paths.size >= MOST_GROUPS) this.#paths.clear();
    this.#paths.set(group, path);
  }

  /** Path below the root that this agent sees, which itself is empty; undefined where there is none of that number. */
  pathOf(group: string): string | undefined {
    if (this.#mount === undefined) return undefined;
    const known = this.knownPathOf(group);
    if (known !== undefined) return known;
    const now = performance.now();
    if (now < this.#walkMs) return undefined;
    this.#paths = walk(this.#mount);
    const ended = performance.now();
    this.#walkMs = ended + AGAIN_SHARE * (ended - now);
    return this.#paths.get(group);
  }

  /** Processes in the group at this path and in no other below it; undefined where they cannot be told, or are all that are in none. */
  processesIn(path: string): readonly number[] | undefined {
    if (this.#mount === undefined || path === '') return undefined;
    try {
      const text = readFileSync(`${this.#mount}${path}/cgroup.procs`, 'latin1');
      // 0 is one that this process namespace does not have.
      return text.split('\n').flatMap((line) => (Number(line) > 0 ? [Number(line)] : []));
    } catch {
      return undefined;
    }
  }
}

function walk(mount: string): Map<string, string> {
  const found = new Map<string, string>();
  const next = [''];
  for (let path = next.pop(); path !== undefined && found.size < MOST_GROUPS; path = next.pop()) {
    const group = numberOf(`${mount}${path}`);
    if (group === undefined) continue;
    found.set(group, path);
    try {
      for (const entry of readdirSync(`${mount}${path}`, { withFileTypes: true }))
        if (entry.isDirectory()) next.push(`${path}/${entry.name}`);
    } catch {
      // It has gone.
    }
  }
  return found;
}

function numberOf(directory: string): string | undefined {
  try {
    return `${statSync(directory, { bigint: true }).ino}`;
  } catch {
    return undefined;
  }
}
