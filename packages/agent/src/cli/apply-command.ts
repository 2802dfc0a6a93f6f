/** weft apply: from a mesh file to what every agent enforces; weft diff: what that would change. */
import { type ChangeOperation, defined, type Mesh } from '@weft/proto';
import { type MeshFile, readMeshFile } from '../config/mesh-file.ts';
import { type Admin, type AdminOptions, withAdmin } from './admin.ts';
import { CommandError } from './errors.ts';
import { writeJson } from './json.ts';
import {
  changeMesh,
  enforcedWords,
  getMesh,
  readRevision,
  readTimeout,
  requireYes,
  sendMeshFile,
  type Terms,
  warnOf,
  writeChanges,
  writeHostReach,
} from './mesh-change.ts';
import { notKeptSentence, stragglersSentence } from './taken-up.ts';
import type { Terminal } from './terminal.ts';

export interface ApplyOptions extends AdminOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly wait?: true;
  readonly yes?: true;
  readonly leaveBehind?: true;
  readonly timeout: string;
  readonly expect?: string;
  readonly json?: true;
}

export async function apply(options: ApplyOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const timeoutMs = readTimeout(options.timeout);
  const expectedRevision = options.expect === undefined ? undefined : readRevision('--expect', options.expect);
  const file = await readMeshFile(options.file);
  const { dryRun, leaveBehind } = options;
  const waitMs = options.wait && timeoutMs;
  const { network } = file.mesh;
  const terms = defined({ dryRun, leaveBehind, expectedRevision });
  const answer = await withAdmin(options, terminal, signal, async (admin) => {
    if (dryRun) return await sendMeshFile(admin, file, terms);
    const seen = options.yes ? undefined : await requireMeant(admin, file, terms, terminal, signal);
    const changed = await changeMesh(admin, network, waitMs !== undefined, terminal, signal, () =>
      sendMeshFile(admin, file, defined({ ...terms, waitMs, expectedRevision: expectedRevision ?? seen })),
    );
    return { ...changed, enforced: waitMs === undefined ? undefined : await enforcedWords(admin, network, changed) };
  });
  const { revision, changes, hostReach, warnings, stragglers, notKept } = answer;
  warnOf(warnings, file, terminal);
  if (options.json !== undefined) {
    writeJson(terminal, 'apply', {
      network,
      revision,
      dryRun: dryRun ?? false,
      changes,
      hostReach,
      warnings,
      stragglers,
      notKept,
    });
  } else {
    writeChanges(changes, terminal);
    writeHostReach(hostReach, terminal);
    const enforced = 'enforced' in answer ? answer.enforced : undefined;
    terminal.out(`${outcome(dryRun ?? false, network, changes.length, revision, enforced)}\n`);
  }
  requireTakenUp(revision, stragglers, notKept, options.timeout);
}

export interface DiffOptions extends AdminOptions {
  readonly file: string;
  readonly json?: true;
}

/** Answers with the exit code: 0 when an apply would change nothing, 3 when it would. */
export async function diff(options: DiffOptions, terminal: Terminal, signal: AbortSignal): Promise<0 | 3> {
  const file = await readMeshFile(options.file);
  const { revision, changes, hostReach, warnings } = await withAdmin(options, terminal, signal, (admin) =>
    sendMeshFile(admin, file, { dryRun: true, leaveBehind: true }),
  );
  warnOf(warnings, file, terminal);
  if (options.json !== undefined) {
    writeJson(terminal, 'diff', { network: file.mesh.network, revision, changes, hostReach, warnings });
  } else {
    writeChanges(changes, terminal);
    writeHostReach(hostReach, terminal);
  }
  return changes.length === 0 ? 0 : 3;
}

/** Throws CommandError for those that do not enforce it, or not keep it. */
export function requireTakenUp(
  revision: number,
  stragglers: readonly string[],
  notKept: readonly string[],
  within: string,
): void {
  const late = stragglersSentence(revision, stragglers, within);
  if (late !== undefined) throw new CommandError('stragglers', late);
  const forgetful = notKeptSentence(revision, notKept);
  if (forgetful !== undefined) throw new CommandError('not-kept', forgetful);
}

/**
 * An empty file, or that of another network, is valid as any: what takes most services away is asked for first. Answers with the
 * revision that was looked at then. Throws CommandError when it is not meant.
 */
async function requireMeant(
  admin: Admin,
  file: MeshFile,
  terms: Terms,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { revision, changes } = await sendMeshFile(admin, file, { ...terms, dryRun: true });
  const services = changes.filter(({ subject }) => subject.startsWith('service '));
  const count = (asked: ChangeOperation) => services.filter(({ operation }) => operation === asked).length;
  const [added, removed] = [count('add'), count('remove')];
  const before = file.mesh.services.length - added + removed;
  const { network } = file.mesh;
  const questions = removed * 2 > before ? [`${removed} of the ${before} services of network ${network}`] : [];
  if (changes.some(({ subject, operation }) => subject.startsWith('agent ') && operation !== 'add')) {
    const { mesh } = await getMesh(admin, network, 0);
    const { lost, held } = rightsLost(mesh, file.mesh);
    if (lost * 2 > held)
      questions.push(`${lost} of the ${held} services that hosts of network ${network} may run by the mesh`);
  }
  if (questions.length === 0) return undefined;
  await requireYes(`this takes ${questions.join(', and ')} away;`, terminal, signal);
  return revision;
}

/** Of what the mesh lets hosts run, how much goes. */
function rightsLost(before: Mesh, after: Mesh): { readonly lost: number; readonly held: number } {
  const said = ({ agents }: Mesh) =>
    agents.flatMap(({ name, services }) => services.map((entry) => `${name} ${entry}`));
  const kept = new Set(said(after));
  const held = said(before);
  return { lost: held.filter((entry) => !kept.has(entry)).length, held: held.length };
}

function outcome(
  dryRun: boolean,
  network: string,
  changes: number,
  revision: number,
  enforced: string | undefined,
): string {
  if (dryRun) {
    return changes === 0
      ? `network ${network} is already so, at revision ${revision}`
      : `dry run: nothing was changed; network ${network} stays at revision ${revision}`;
  }
  const what = changes === 0 ? `network ${network} was already so` : `applied to network ${network}`;
  return `${what}: ${sentenceOf(revision, enforced)}`;
}

export function sentenceOf(revision: number, enforced: string | undefined): string {
  return `revision ${revision}${enforced === undefined ? '' : `, ${enforced}`}`;
}
