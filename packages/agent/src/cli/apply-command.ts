/** weft apply: from a mesh file to what every agent enforces; weft diff: what that would change. */
import { defined } from '@weft/proto';
import { readMeshFile } from '../config/mesh-file.ts';
import { type AdminOptions, withAdmin } from './admin.ts';
import { CommandError } from './errors.ts';
import { writeJson } from './json.ts';
import { readRevision, readTimeout, sendMeshFile, warnOf, writeChanges } from './mesh-change.ts';
import { notKeptSentence, stragglersSentence } from './taken-up.ts';
import type { Terminal } from './terminal.ts';

export interface ApplyOptions extends AdminOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly wait?: true;
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
  const answer = await withAdmin(options, terminal, signal, (admin) =>
    sendMeshFile(admin, file, defined({ dryRun, leaveBehind, waitMs, expectedRevision })),
  );
  const { revision, changes, warnings, stragglers, notKept } = answer;
  const { network } = file.mesh;
  warnOf(warnings, file, terminal);
  if (options.json !== undefined) {
    writeJson(terminal, { network, revision, dryRun: dryRun ?? false, changes, warnings, stragglers, notKept });
  } else {
    writeChanges(changes, terminal);
    terminal.out(`${outcome(options, network, changes.length, revision, stragglers.length)}\n`);
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
  const { revision, changes, warnings } = await withAdmin(options, terminal, signal, (admin) =>
    sendMeshFile(admin, file, { dryRun: true, leaveBehind: true }),
  );
  warnOf(warnings, file, terminal);
  if (options.json === undefined) writeChanges(changes, terminal);
  else writeJson(terminal, { version: 1, network: file.mesh.network, revision, changes, warnings });
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

function outcome(
  options: ApplyOptions,
  network: string,
  changes: number,
  revision: number,
  stragglers: number,
): string {
  if (options.dryRun !== undefined) {
    return changes === 0
      ? `network ${network} is already so, at revision ${revision}`
      : `dry run: nothing was changed; network ${network} stays at revision ${revision}`;
  }
  const what = changes === 0 ? `network ${network} was already so` : `applied to network ${network}`;
  const enforced = options.wait !== undefined && stragglers === 0 ? ', enforced by every connected agent' : '';
  return `${what}: revision ${revision}${enforced}`;
}
