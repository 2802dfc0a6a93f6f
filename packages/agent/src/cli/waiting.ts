/** Who is missing, told to the person while control waits for all that are connected. */
import { setTimeout as sleep } from 'node:timers/promises';
import { adminService } from '@weft/proto/wire';
import type { Admin } from './admin.ts';
import { printable, type Terminal } from './terminal.ts';

const LOOK_EVERY_MS = 1_000;
const LOOK_MS = 10_000;
/** More names would scroll the rest away. */
const MOST_NAMES = 10;

/** The work's answer. From a second on, each change of those that are behind is a line on stderr. */
export async function tellingWhoIsMissing<Result>(
  admin: Admin,
  network: string,
  terminal: Terminal,
  work: Promise<Result>,
): Promise<Result> {
  const done = new AbortController();
  void tell(admin, network, terminal, done.signal);
  try {
    return await work;
  } finally {
    done.abort();
  }
}

/** Never rejects: what cannot be asked is not told, and the work says why. */
async function tell(admin: Admin, network: string, terminal: Terminal, signal: AbortSignal): Promise<void> {
  let told = '';
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal });
      const { networks } = await admin.call(adminService.getStatus, { network }, LOOK_MS);
      const { behind = [], behindCount = 0 } = networks[0] ?? {};
      const names = behind.slice(0, MOST_NAMES);
      const more = behindCount > names.length ? ` and ${behindCount - names.length} more` : '';
      const words = behindCount === 0 ? '' : `waiting for ${names.join(', ')}${more}`;
      if (words !== told && words !== '' && !signal.aborted) terminal.err(`${printable(words)}\n`);
      told = words;
    }
  } catch {}
}

/** How many agents are connected to a network. */
export async function connectedTo(admin: Admin, network: string): Promise<number> {
  const { networks } = await admin.call(adminService.getStatus, { network });
  return networks[0]?.connected ?? 0;
}
