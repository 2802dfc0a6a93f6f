/** Meshes as they were applied. Only the newest of a network is in memory: nobody needs the others but who asks what was. */
import type { Mesh } from '@weft/proto';
import type { History } from '../store/change-log.ts';
import type { Draft } from './draft.ts';
import { StateError } from './errors.ts';
import type { AppliedMesh, Change, Revision } from './types.ts';

/** A mesh that is new as a whole has a change for each service and rule: nobody reads thousands, and 200 lists are kept. */
const MOST_CHANGES = 200;
const LONGEST_DETAIL = 1_000;

/** Keeps the mesh, the network's from now on, with the change that makes it so. */
export function keepRevision(mesh: Mesh, changes: readonly Change[], { revision, writes, nowMs }: Draft): void {
  const { network } = mesh;
  const [words, json] = [JSON.stringify(readable(changes)), JSON.stringify(mesh)];
  writes.push({ write: 'addRevision', row: { network, revision, appliedMs: nowMs, changes: words, mesh: json } });
}

/** The first of them, and how many more there were. */
function readable(changes: readonly Change[]): Change[] {
  const kept = changes.slice(0, MOST_CHANGES).map((change) => ({ ...change, detail: cut(change.detail) }));
  const more = changes.length - kept.length;
  return more === 0 ? kept : [...kept, { operation: 'change', subject: `${more} more`, detail: '' }];
}

function cut(detail: string): string {
  return detail.length > LONGEST_DETAIL ? `${detail.slice(0, LONGEST_DETAIL - 1)}…` : detail;
}

/** Newest first. What is read here only this file wrote, so its shape is taken on trust. */
export async function revisionsOf(history: History, network: string, limit: number): Promise<readonly Revision[]> {
  const rows = await history.revisions(network, limit);
  return rows.map(({ revision, appliedMs, changes }) => {
    return { revision, appliedMs, changes: JSON.parse(changes) as Change[] };
  });
}

/** `newest` is the revision of the state. */
export async function meshAt(history: History, newest: number, network: string, asked: number): Promise<AppliedMesh> {
  if (asked > newest) {
    throw new StateError('no-such-revision', `there is no revision ${asked} yet; the newest is ${newest}`);
  }
  const kept = await history.meshAt(network, asked);
  if (kept !== undefined) return { revision: kept.revision, mesh: JSON.parse(kept.mesh) as Mesh };
  const oldest = (await history.oldestRevision(network)) ?? newest;
  throw new StateError(
    'no-such-revision',
    `the mesh of network ${network} at revision ${asked} is not kept; those from revision ${oldest} on are`,
  );
}
