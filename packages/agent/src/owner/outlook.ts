/** What this host lets its agent know of who calls, tried at its start: no setting tells it for sure. */
import { readdirSync, readlinkSync } from 'node:fs';
import { ControlGroups } from './control-groups.ts';
import { Diagnosis } from './diagnosis.ts';
import { ownConnection, provenKernel } from './kernel-sockets.ts';
import { oneOf } from './lister.ts';
import { isGone, userOf } from './process.ts';
import { readSmall } from './read-small.ts';
import { missingHere, type Sight } from './sight.ts';
import type { FoundSocket, Sockets } from './socket-tables.ts';
import { knowsAllUsers } from './users.ts';

export interface Outlook {
  readonly sight: Sight;
  /** Whether the kernel is asked for single sockets, or its tables are read, which takes milliseconds. */
  readonly sockets: 'kernel' | 'tables';
  /** Capabilities that would let it look into all processes; empty where it does, and where they would not. */
  readonly missing: readonly string[];
}

/** A machine that has just started is slow. */
const BEGIN_MS = 5_000;
/** Processes of others that are tried in vain. */
const MOST_REFUSED = 16;

/** `native`: whether what reaches under Node is wanted. */
export async function outlookHere(native: boolean, proc = '/proc'): Promise<Outlook> {
  const own = await ownSocket(native);
  const seesAll = knowsAllUsers(proc) && seesOthers(proc);
  const sight = seesAll ? 'all' : sightOf(own, new ControlGroups(undefined, proc), proc);
  const missing = seesAll || !knowsAllUsers(proc) ? [] : missingHere(proc);
  return { sight, sockets: own === undefined ? 'tables' : 'kernel', missing };
}

/** Whether it may look into another user's process, which without the capabilities it may into none; by these where there is none to try. */
function seesOthers(proc: string): boolean {
  const self = process.geteuid?.();
  let refused = 0;
  for (const name of readdirSync(proc).filter((each) => /^\d+$/.test(each))) {
    const at = `${proc}/${name}`;
    try {
      if (ownerOf(at) === self) continue;
      readlinkSync(`${at}/exe`);
      const file = oneOf(`${at}/fd`);
      if (file !== undefined) readlinkSync(`${at}/fd/${file}`);
      return true;
    } catch (error) {
      // Some are guarded by more than that. One that has ended, or is a thread of the kernel, runs no file.
      if (!isGone(error) && ++refused >= MOST_REFUSED) return false;
    }
  }
  return refused === 0 && missingHere(proc).length === 0;
}

/** Effective user; root's also where that is not told. */
function ownerOf(at: string): number {
  return userOf(at) ?? 0;
}

function sightOf(own: FoundSocket | undefined, groups: ControlGroups, proc: string): Sight {
  const path = own?.group === undefined ? undefined : groups.pathOf(own.group);
  // Where all are in the first group of all, the groups tell nobody apart.
  if (path === undefined || path === '' || path !== groupHere(proc)) return 'own';
  return groups.alone ? 'groups' : 'units';
}

function groupHere(proc: string): string | undefined {
  try {
    return /^0::(.*)$/m.exec(readSmall(`${proc}/self/cgroup`))?.[1];
  } catch {
    return undefined;
  }
}

/** A socket of this very process, as the kernel tells of it; undefined where it tells nothing. */
async function ownSocket(native: boolean): Promise<FoundSocket | undefined> {
  const silent: Sockets = { callers: async () => [], listeners: async () => [] };
  const diagnosis = new Diagnosis(silent, BEGIN_MS, native ? await provenKernel() : undefined);
  try {
    const found = await ownConnection(async (client, called) => {
      const [[socket] = []] = await diagnosis.callers([{ protocol: 'tcp', client, called }]);
      return socket;
    });
    return found?.uid === process.geteuid?.() ? found : undefined;
  } finally {
    diagnosis.close();
  }
}
