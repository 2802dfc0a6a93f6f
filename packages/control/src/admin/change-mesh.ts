/** A mesh is changed, as a whole or by one entry, for who may order it; and whoever wants to waits until it is enforced. */
import type { FieldProblem, HostReach, Mesh, RulePlaces, Vocabulary } from '@weft/proto';
import { byText, defined, problem } from '@weft/proto';
import type { Logger } from 'pino';
import { actorName } from '../audit/entry.ts';
import type { Actor } from '../audit/types.ts';
import type { EnforcementWaiter, LiveAgents } from '../fleet/live.ts';
import { notKept } from '../fleet/projection.ts';
import type { FlowWindow } from '../flows/types.ts';
import { edited, fieldsOfEdit, type MeshEdit } from '../state/edits.ts';
import { differenceOfOlder } from '../state/older-data.ts';
import type { ApplyOptions, ApplyResult, StateStore } from '../state/types.ts';
import { listenerWarnings, unmetCallers } from './doubts.ts';
import { RequestError } from './errors.ts';
import { besideReach, hostReach, inexactRules, NO_REACH } from './inexact-rules.ts';
import { gainsBehind, leftBehind } from './left-behind.ts';
import { requireNetwork } from './request.ts';

export interface ChangeMeshOptions {
  readonly state: StateStore;
  readonly live: LiveAgents;
  readonly enforcement: EnforcementWaiter;
  readonly logger: Logger;
  readonly flows: Pick<FlowWindow, 'users'>;
  /** Which capability brought each word of a mesh; as this version knows it when left out. */
  readonly words?: Vocabulary;
}

export interface ChangeOrder {
  readonly dryRun: boolean;
  readonly wait: boolean;
  /** How long, at most. */
  readonly waitMs: number;
  /** 0 for any. */
  readonly expectedRevision: number;
  /** Whether members that cannot read all of it are to be left behind. */
  readonly leaveBehind: boolean;
}

export interface MeshChanged extends ApplyResult {
  /** What programs that speak as their host gain and lose. */
  readonly hostReach: readonly HostReach[];
  /** Hosts connected and not yet enforcing it when the time was up, and the one from which it takes something, where that is away. */
  readonly stragglers: readonly string[];
  /** Hosts that enforce it, and could not write it down. */
  readonly notKept: readonly string[];
}

/** Where a whole mesh is from, which is told where it is asked for. */
export interface MeshSource {
  /** Undefined for a mesh of no file. */
  readonly places: RulePlaces | undefined;
  /** The revision that it was taken from; 0 for none. */
  readonly formerRevision: number;
}

/** The signal ends the wait, and not the change. Rejects with RequestError, StateError. */
export async function applyMesh(
  options: ChangeMeshOptions,
  mesh: Mesh,
  { places, formerRevision }: MeshSource,
  order: ChangeOrder,
  by: Actor,
  signal: AbortSignal,
): Promise<MeshChanged> {
  const { state } = options;
  const former = order.dryRun ? undefined : await state.formerRevision(mesh, formerRevision || undefined);
  const make = (how: ApplyOptions): Promise<ApplyResult> =>
    state.apply(mesh, { ...how, ...defined({ places, former }) });
  return await change(options, { mesh, make }, order, by, signal);
}

/** `network` is empty for the only one there is. The signal ends the wait, and not the change. Rejects with RequestError, StateError. */
export async function editMesh(
  options: ChangeMeshOptions,
  network: string,
  edit: MeshEdit,
  order: ChangeOrder,
  by: Actor,
  signal: AbortSignal,
): Promise<MeshChanged> {
  const held = requireNetwork(options.state.current, network);
  const mesh = edited(held.mesh, edit);
  const make = (how: ApplyOptions): Promise<ApplyResult> => options.state.edit(held.name, edit, how);
  return await change(options, { mesh, make, named: fieldsOfEdit(edit, mesh) }, order, by, signal);
}

interface Asked {
  /** What it comes to, unless somebody else is faster. */
  readonly mesh: Mesh;
  readonly make: (how: ApplyOptions) => Promise<ApplyResult>;
  /** How who asked calls a field; as the whole mesh does when left out. */
  readonly named?: (found: FieldProblem) => FieldProblem;
}

async function change(
  options: ChangeMeshOptions,
  { mesh, make, named = (found) => found }: Asked,
  { dryRun, wait, waitMs, expectedRevision, leaveBehind }: ChangeOrder,
  by: Actor,
  signal: AbortSignal,
): Promise<MeshChanged> {
  const { state, live, logger, flows, words } = options;
  const actor = actorName(by);
  const before = state.current.networks.get(mesh.network);
  const crowded = listenerWarnings(mesh, before, live);
  const behind = [
    ...leftBehind(mesh, before, live, leaveBehind, words),
    ...gainsBehind(mesh, before, live, leaveBehind),
  ].map(named);
  if (behind.length > 0 && !leaveBehind) throw new RequestError(behind);
  const { revision, changes, warnings } = await make({
    dryRun,
    actor,
    ...defined({ expected: expectedRevision || undefined }),
  });
  if (!dryRun && changes.length > 0) {
    const { network } = mesh;
    logger.info({ event: 'mesh-applied', network, revision, changes: changes.length, actor }, 'mesh applied');
  }
  const unmet = unmetCallers(mesh, before, live, (network) => flows.users(network)).map(named);
  // At the same time: an answer that was waited for must not be later by what is told beside it.
  const [taken, told, inexact] = await Promise.all([
    waited(options, mesh.network, revision, wait && !dryRun ? waitMs : undefined, signal),
    before === undefined || changes.length === 0
      ? NO_REACH
      : hostReach({ mesh: before.mesh, network: before }, { mesh, network: before }, live, signal),
    inexactRules(mesh, before, live, signal),
  ]);
  return {
    revision,
    changes,
    warnings: [
      ...ofOlderData(state),
      ...warnings,
      ...unmet,
      ...inexact.map(named),
      ...crowded,
      ...behind,
      ...besideReach(told),
    ],
    hostReach: told.reach,
    ...taken,
  };
}

/** Of a dry run, as nothing else is answered then. */
export function ofOlderData({ olderData, current }: Pick<StateStore, 'olderData' | 'current'>): FieldProblem[] {
  return olderData === undefined ? [] : [problem('network', differenceOfOlder(olderData, current.revision))];
}

/**
 * How the agents have taken a revision up, after at most `longestMs`; nothing is asked where that is undefined. `narrowed`: hosts from
 * which it takes something, which are told though they are away, for they go on by what they hold.
 */
export async function waited(
  { state, live, enforcement }: Pick<ChangeMeshOptions, 'state' | 'live' | 'enforcement'>,
  name: string,
  revision: number,
  longestMs: number | undefined,
  signal: AbortSignal,
  narrowed: readonly string[] = [],
): Promise<Pick<MeshChanged, 'stragglers' | 'notKept'>> {
  if (longestMs === undefined) return { stragglers: [], notKept: [] };
  const behind = await enforcement.waitEnforced(name, revision, longestMs, signal);
  const network = state.current.networks.get(name);
  if (network === undefined) return { stragglers: behind, notKept: [] };
  const away = narrowed.filter((host) => live.agent(network.hosts.get(host) ?? '')?.connected !== true);
  return { stragglers: [...new Set([...behind, ...away])].sort(byText), notKept: notKept(network, live, revision) };
}
