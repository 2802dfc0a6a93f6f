/**
 * A mesh is checked and applied, or the network of a first token made: the change worked out. Those that were are kept; only the
 * newest of a network is in memory, for nobody needs the others but who asks what was.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  countOf,
  type FieldProblem,
  type MayRun,
  type Mesh,
  type Rule,
  runPolicyTests,
  validateMesh,
} from '@weft/proto';
import { type Act, counted } from '../audit/entry.ts';
import type { History } from '../store/change-log.ts';
import { diffMeshes } from './diff.ts';
import type { Draft, Outcome } from './draft.ts';
import { actOf, edited, fieldsOfEdit, type MeshEdit } from './edits.ts';
import { StateError } from './errors.ts';
import { readMesh } from './kept-mesh.ts';
import { LIMITS } from './limits.ts';
import { mayRunIn } from './may-run.ts';
import { bookOf, type Memory, requireNetwork } from './memory.ts';
import { Network } from './network.ts';
import { originsAfter, writeOrigins } from './origins.ts';
import type { AppliedMesh, ApplyOptions, ApplyResult, Change, NetworkState, Revision, RuleOrigins } from './types.ts';

/** Hosts that are not there that an answer names: past this many the list says nothing new. */
const MOST_DOUBTS = 500;

/** `mesh` was checked, with these warnings. `act` is of one that is more than an apply of the whole. */
export function applyMesh(
  memory: Memory,
  draft: Draft,
  { mesh, warnings, act }: CheckedMesh,
  { dryRun, actor, expected, places, former }: ApplyOptions,
): Outcome<ApplyResult> {
  const before = memory.state.networks.get(mesh.network);
  if (expected !== undefined) requireUnchanged(before, mesh.network, expected);
  if (before === undefined) requireRoom(memory);
  const { changes, takesAway } = diffMeshes(before?.mesh, mesh);
  const doubts = [...warnings, ...unknownHosts(mesh, before)];
  const set = { revision: draft.revision, setMs: draft.nowMs, actor };
  const origins = originsAfter(before, mesh.policies, set, places);
  if (dryRun || changes.length === 0) {
    const answer = { revision: before?.revision ?? memory.state.revision, changes, warnings: doubts };
    if (dryRun || before === undefined || isDeepStrictEqual(origins, before.origins)) return { answer };
    const { name, meshRevision: revision } = before;
    draft.writes.push({ write: 'setOrigins', row: { network: name, revision, origins: writeOrigins(origins) } });
    return { answer, networks: [{ ...before, origins }] };
  }
  let network: NetworkState;
  if (before === undefined) network = makeNetwork(memory, draft, mesh, origins);
  else {
    keepRevision(mesh, origins, changes, draft);
    network = { ...bookOf(memory, mesh.network).withMesh(before, mesh, draft), origins };
  }
  const [action, subject] =
    former === undefined ? ['apply', `network ${mesh.network}`] : ['rollback', `revision ${former}`];
  const whole = { action, subject, detail: counted(changes.length, 'change') };
  return {
    answer: { revision: draft.revision, changes, warnings: doubts },
    networks: [network],
    takesAway,
    act: { actor, ...whole, ...(act && { ...act, detail: changes.map(({ detail }) => detail).join('; ') }) },
  };
}

export interface CheckedMesh {
  readonly mesh: Mesh;
  readonly warnings: readonly FieldProblem[];
  readonly act?: Pick<Act, 'action' | 'subject'>;
}

/** The mesh that is held, with one entry changed, applied like any other. */
export function editMesh(
  memory: Memory,
  draft: Draft,
  name: string,
  edit: MeshEdit,
  options: ApplyOptions,
): Outcome<ApplyResult> {
  const held = requireNetwork(memory, name);
  if (options.expected !== undefined) requireUnchanged(held, name, options.expected);
  const mesh = edited(held.mesh, edit);
  const named = fieldsOfEdit(edit, mesh);
  const outcome = applyMesh(
    memory,
    draft,
    { mesh, warnings: checkMesh(mesh, mayRunIn(mesh, held), named), act: actOf(edit) },
    options,
  );
  return { ...outcome, answer: { ...outcome.answer, warnings: outcome.answer.warnings.map(named) } };
}

/** Hosts that came or went since make no difference: a fleet that grows by itself would let nobody change anything. */
export function requireUnchanged(network: NetworkState | undefined, name: string, expected: number): void {
  if (network === undefined) {
    throw new StateError('changed-since', `network ${name} is not there, at revision ${expected} or any other`);
  }
  const { meshRevision, revision } = network;
  if (expected >= meshRevision && expected <= revision) return;
  const how = expected > revision ? `has not come to revision ${expected}` : `was changed after revision ${expected}`;
  throw new StateError(
    'changed-since',
    `network ${name} ${how}: its mesh is of revision ${meshRevision}, and the newest is ${revision}; ` +
      'look at what is there now, and change that; nothing was changed',
    [],
    { revision: `${meshRevision}`, newest: `${revision}` },
  );
}

/** `mesh` was checked. Throws StateError `limit`. */
export function makeNetwork(memory: Memory, draft: Draft, mesh: Mesh, origins: RuleOrigins = new Map()): NetworkState {
  requireRoom(memory);
  const empty = emptyNetwork(mesh, draft.revision);
  const { name, revision, secret } = empty;
  const book = new Network(name, { addresses: [], instances: [] });
  draft.writes.push({ write: 'addNetwork', row: { name, revision, secret } });
  keepRevision(mesh, origins, diffMeshes(undefined, mesh).changes, draft);
  memory.books.set(name, book);
  return { ...book.withMesh(empty, mesh, draft), origins };
}

function requireRoom({ state }: Memory): void {
  if (state.networks.size < LIMITS.networks) return;
  throw new StateError('limit', `there are ${LIMITS.networks} networks, and control holds no more`);
}

/**
 * Likely mistakes of a mesh that is good. Its tests go by what hosts may run now. `named` says how who asked calls a field. Throws StateError `invalid` or `tests-failed`,
 * with every field that is not.
 */
export function checkMesh(
  mesh: Mesh,
  mayRun: MayRun,
  named = (found: FieldProblem): FieldProblem => found,
): readonly FieldProblem[] {
  const { errors, count, warnings } = validateMesh(mesh);
  if (count > 0) throw wrongMesh('invalid', 'is wrong in', errors.map(named), count);
  const failures = runPolicyTests(mesh, undefined, mayRun);
  if (failures.length > 0) throw wrongMesh('tests-failed', 'fails', failures.map(named));
  return warnings;
}

function wrongMesh(
  code: 'invalid' | 'tests-failed',
  how: string,
  fields: readonly FieldProblem[],
  count: number = fields.length,
): StateError {
  return new StateError(
    code,
    `the mesh ${how} ${places(fields, count)}; nothing was changed`,
    fields,
    countOf(count, fields),
  );
}

/** The first problem in full, and how many more there are. */
function places([first]: readonly FieldProblem[], count: number): string {
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  return `${first?.field}: ${first?.message}${more}`;
}

/** A mesh that is new as a whole has a change for each service and rule: nobody reads thousands, and 200 lists are kept. */
const MOST_CHANGES = 200;
const LONGEST_DETAIL = 1_000;

/** Keeps the mesh, the network's from now on, with the change that makes it so. */
export function keepRevision(
  mesh: Mesh,
  origins: RuleOrigins,
  changes: readonly Change[],
  { revision, writes, nowMs }: Pick<Draft, 'revision' | 'writes' | 'nowMs'>,
): void {
  const { network } = mesh;
  const told = {
    changes: JSON.stringify(readable(changes)),
    mesh: JSON.stringify(mesh),
    origins: writeOrigins(origins),
  };
  writes.push({ write: 'addRevision', row: { network, revision, appliedMs: nowMs, ...told } });
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
export async function revisionsOf(
  history: History,
  network: string,
  limit: number,
  before?: number,
): Promise<readonly Revision[]> {
  const rows = await history.revisions(network, limit, before);
  return rows.map(({ revision, appliedMs, changes }) => {
    return { revision, appliedMs, changes: JSON.parse(changes) as Change[] };
  });
}

/** `newest` is the revision of the state. */
export async function meshAt(history: History, newest: number, network: string, asked: number): Promise<AppliedMesh> {
  if (asked > newest) {
    throw new StateError('no-such-revision', `there is no revision ${asked} yet; the newest is ${newest}`, [], {
      newest: `${newest}`,
    });
  }
  const kept = await history.meshAt(network, asked);
  if (kept !== undefined) return { revision: kept.revision, mesh: readMesh(kept.mesh) };
  const oldest = (await history.oldestRevision(network)) ?? newest;
  throw new StateError(
    'no-such-revision',
    `the mesh of network ${network} at revision ${asked} is not kept; those from revision ${oldest} on are`,
    [],
    { oldest: `${oldest}`, newest: `${newest}` },
  );
}

/** As StateStore has it. */
export async function formerRevision(
  history: Pick<History, 'meshAt' | 'revisionOf'>,
  mesh: Mesh,
  said: number | undefined,
): Promise<number | undefined> {
  const kept = said === undefined ? undefined : await history.meshAt(mesh.network, said);
  if (kept !== undefined && diffMeshes(readMesh(kept.mesh), mesh).changes.length === 0) return said;
  return await history.revisionOf(mesh.network, JSON.stringify(mesh));
}

/** Before anything is applied to it. */
export function emptyNetwork(mesh: Mesh, revision: number): NetworkState {
  return {
    name: mesh.network,
    revision,
    mesh: { ...mesh, services: [] },
    meshRevision: revision,
    origins: new Map(),
    secret: Uint8Array.from(randomBytes(32)),
    services: new Map(),
    agents: new Map(),
    hosts: new Map(),
    instances: new Map(),
  };
}

/** Hosts that the mesh names and that have not joined, and the internet where no gateway has: right before they do, and else a slip that nobody would notice. */
function unknownHosts({ policies, agents, tests }: Mesh, network: NetworkState | undefined): FieldProblem[] {
  const members = [...(network?.agents.values() ?? [])];
  const joined = new Set(members.map(({ host }) => host));
  const named = [
    ...policies.flatMap(({ from }, rule) =>
      from.flatMap((text, index) => hostNamed(text, `policies[${rule}].from[${index}]`, 'this selects nothing')),
    ),
    ...agents.map(({ name }) => ({ name, field: `agents.${name}`, effect: 'this says nothing of any' })),
    ...tests.flatMap(({ from }, index) => hostNamed(from, `tests[${index}].from`, 'this tests for nobody')),
  ];
  const absent = named
    .filter(({ name }) => !joined.has(name))
    .map(({ name, field, effect }) => {
      return { field, message: `no host ${JSON.stringify(name)} has joined; until one does ${effect}` };
    });
  const closed = members.some(({ roles }) => roles.includes('gateway')) ? [] : policies.flatMap(fromInternet);
  return [
    ...firstOf(closed, MOST_DOUBTS, 'the internet'),
    ...firstOf(absent, MOST_DOUBTS, 'hosts that have not joined'),
  ];
}

/** The rest, which is `about` the same, is counted in a last entry. */
export function firstOf(found: readonly FieldProblem[], most: number, about: string): readonly FieldProblem[] {
  const more = found.length - most;
  if (more <= 0) return found;
  return [...found.slice(0, most), { field: 'policies', message: `${more} more warnings are about ${about}` }];
}

function fromInternet({ from }: Rule, rule: number): FieldProblem[] {
  const message = 'no gateway has joined; until one does this selects nothing';
  return from.flatMap((text, index) =>
    text === 'internet' ? [{ field: `policies[${rule}].from[${index}]`, message }] : [],
  );
}

function hostNamed(selector: string, field: string, effect: string): { name: string; field: string; effect: string }[] {
  return selector.startsWith('host:') ? [{ name: selector.slice('host:'.length), field, effect }] : [];
}
