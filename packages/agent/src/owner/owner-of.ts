/** What is told of a caller, of what was found. */
import type { HiddenBy, Owner } from '../words/owner.ts';
import type { Fits } from './fits.ts';
import type { ProcessFacts } from './process.ts';
import { readSmall } from './read-small.ts';
import type { FoundSocket } from './socket-tables.ts';
import type { Users } from './users.ts';

/** `sockets`: of one user, at least one. `unit`: that the sockets tell; empty where they tell none. */
export function ownerOf(
  users: Pick<Users, 'nameOf'>,
  sockets: readonly FoundSocket[],
  told: Fits,
  self: ProcessFacts | undefined,
  unit = '',
): Owner {
  return {
    service: told.length === 1 ? told[0] : undefined,
    fits: told.length > 1 ? told : [],
    user: users.nameOf(sockets[0]?.uid ?? Number.NaN),
    pid: self?.pid,
    program: self?.program ?? '',
    unit: unit === '' ? (self?.unit ?? '') : unit,
    sockets: tokenOf(sockets),
  };
}

/** Whatever their order. */
export function tokenOf(sockets: readonly FoundSocket[]): string {
  const [one] = sockets;
  if (one !== undefined && sockets.length === 1) return `${one.inode}/${one.uid}`;
  return sockets
    .map(({ inode, uid }) => `${inode}/${uid}`)
    .sort()
    .join(' ');
}

/** `fits`: what it would be. */
export function hiddenBy([service = '']: Fits, pid: number): HiddenBy {
  let name = '';
  try {
    const said = readSmall(`/proc/${pid}/comm`).trim();
    // It chose that itself.
    if (/^[ -~]+$/.test(said)) name = said;
  } catch {
    // It has ended.
  }
  return { service, pid, name };
}
