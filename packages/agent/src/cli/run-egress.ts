/** What `weft run` is told of the way out of the mesh, and what that needs of the host. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { hostInterfaces, parseRange } from '@weft/proto';
import { rangesAround } from '../egress/address-classes.ts';
import { type EgressRights, MOST_OPENED, readOpened } from '../egress/rights.ts';
import { egressRules } from '../egress/rules.ts';
import type { Granted } from '../sandbox/lines.ts';
import { LINK, SANDBOX_HOST } from '../sandbox/link.ts';
import { CommandError, UsageError } from './errors.ts';
import type { RunOptions } from './run-options.ts';

/** Undefined where nothing is to be reached outside the mesh. Throws UsageError. */
export function readEgress({
  egress,
  egressTo = [],
}: Pick<RunOptions, 'egress' | 'egressTo'>): EgressRights | undefined {
  if (egressTo.length > MOST_OPENED)
    throw new UsageError(`at most ${MOST_OPENED} ranges may be opened; found ${egressTo.length}: name larger ones`);
  const opened = egressTo.map((text) => {
    const range = readOpened(text);
    if (typeof range === 'string') throw new UsageError(`--egress-to ${range}`);
    return range;
  });
  return egress === true || opened.length > 0 ? { internet: egress === true, opened } : undefined;
}

/** Where root's programs are, whose folders may not be on the PATH of whoever calls. */
const SYSTEM_FOLDERS: readonly string[] = ['/usr/sbin', '/sbin', '/usr/bin'];

/** Throws CommandError where nft(8) is missing. */
export async function requireFilter(path: string, system: readonly string[] = SYSTEM_FOLDERS): Promise<void> {
  for (const folder of [...path.split(':'), ...system]) {
    if (folder !== '' && (await isProgram(join(folder, 'nft')))) return;
  }
  throw new CommandError(
    'no-nft',
    `nft is neither on the PATH nor in ${system.join(', ')}, and makes the way out of a sandbox; install it: apt-get install nftables`,
  );
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** What nft is told, in the sandbox. Throws CommandError for an answer that no agent of this version gives. */
export function rulesFor(rights: EgressRights, { range }: Pick<Granted, 'range'>): string {
  const vips = parseRange(range);
  if (vips === undefined)
    throw new CommandError('agent-too-old', `the agent names the range ${range}; run both of the same version`);
  const around = rangesAround({ vips, interfaces: hostInterfaces() });
  return egressRules({ rights, around, vips, names: SANDBOX_HOST, link: LINK });
}
