/** What `weft run` is told of the way out of the mesh, and what that needs of the host. */
import { hostInterfaces, parseRange } from '@weft/proto';
import { rangesAround } from '../egress/address-classes.ts';
import { type EgressRights, MOST_OPENED, readOpened } from '../egress/rights.ts';
import { egressRules } from '../egress/rules.ts';
import { nftProgram } from '../guard/nft.ts';
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

/** Path of nft(8), whatever the caller's PATH. Throws CommandError where it is missing. */
export function requireFilter(folders?: readonly string[]): string {
  const program = nftProgram(folders);
  if (program !== undefined) return program;
  throw new CommandError(
    'no-nft',
    'nft is missing, which makes the way out of a sandbox; install it: apt-get install nftables',
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
