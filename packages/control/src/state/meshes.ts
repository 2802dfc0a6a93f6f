/** A mesh is applied, or the network of a first token made: the change worked out. */
import type { FieldProblem, Mesh } from '@weft/proto';
import { applied } from './acts.ts';
import { diffMeshes } from './diff.ts';
import type { Draft, Outcome } from './draft.ts';
import { StateError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { bookOf, type Memory } from './memory.ts';
import { Network } from './network.ts';
import { keepRevision } from './revisions.ts';
import { emptyNetwork } from './snapshot.ts';
import type { ApplyOptions, ApplyResult, NetworkState } from './types.ts';

/** `mesh` was checked, with these warnings. */
export function applyMesh(
  memory: Memory,
  draft: Draft,
  { mesh, warnings }: { readonly mesh: Mesh; readonly warnings: readonly FieldProblem[] },
  { dryRun, actor }: ApplyOptions,
): Outcome<ApplyResult> {
  const before = memory.state.networks.get(mesh.network);
  if (before === undefined) requireRoom(memory);
  const { changes, takesAway } = diffMeshes(before?.mesh, mesh);
  if (dryRun || changes.length === 0) {
    return { answer: { revision: before?.revision ?? memory.state.revision, changes, warnings } };
  }
  let network: NetworkState;
  if (before === undefined) network = makeNetwork(memory, draft, mesh);
  else {
    keepRevision(mesh, changes, draft);
    network = bookOf(memory, mesh.network).withMesh(before, mesh, draft);
  }
  const act = applied(mesh.network, changes, actor);
  return { answer: { revision: draft.revision, changes, warnings }, networks: [network], takesAway, act };
}

/** `mesh` was checked. Throws StateError `limit`. */
export function makeNetwork(memory: Memory, draft: Draft, mesh: Mesh): NetworkState {
  requireRoom(memory);
  const empty = emptyNetwork(mesh, draft.revision);
  const { name, revision, secret } = empty;
  const book = new Network(name, { addresses: [], instances: [] });
  draft.writes.push({ write: 'addNetwork', row: { name, revision, secret } });
  keepRevision(mesh, diffMeshes(undefined, mesh).changes, draft);
  memory.books.set(name, book);
  return book.withMesh(empty, mesh, draft);
}

function requireRoom({ state }: Memory): void {
  if (state.networks.size < LIMITS.networks) return;
  throw new StateError('limit', `there are ${LIMITS.networks} networks, and control holds no more`);
}
