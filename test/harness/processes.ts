/** Processes of this machine, as proc(5) tells of them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Of a process, a letter as ps(1) has it. */
export function stateOf(pid: number): string {
  return statOf(pid)[0] ?? '';
}

/** From its state on (proc_pid_stat(5)): the name before it may hold anything. */
function statOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
}

/** Processor time of a process, the user's and the system's, in hundredths of a second. */
export function ticksOf(pid: number): number {
  const fields = statOf(pid);
  return Number(fields[11]) + Number(fields[12]);
}

export function descendants(pid: number): readonly number[] {
  return children(pid).flatMap((child) => [child, ...descendants(child)]);
}

/** With its arguments; nothing of one that is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** In ticks since the machine's start: a number of a process may come again. Nothing of one that is gone, or dead and waits for its parent. */
export function startedAt(pid: number): string | undefined {
  try {
    const [state, ...fields] = statOf(pid);
    return state === 'Z' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

/** Of a process. */
export function children(pid: number): readonly number[] {
  const told = readFileSync(join('/proc', String(pid), 'task', String(pid), 'children'), 'utf8').trim();
  return told === '' ? [] : told.split(' ').map(Number);
}

/** Its namespaces, as `net:[4026531840]`; nothing of one that is gone. */
export function namespacesOf(pid: number | string): readonly string[] {
  try {
    const folder = join('/proc', String(pid), 'ns');
    return readdirSync(folder).map((name) => readlinkSync(join(folder, name)));
  } catch {
    return [];
  }
}

/** Of all processes. */
export function namespacesHeld(): ReadonlySet<string> {
  return new Set(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap(namespacesOf),
  );
}
