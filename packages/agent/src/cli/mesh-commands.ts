/** weft get, history and rollback: the mesh in force, those before it, and the way back to one. */
import { defined } from '@weft/proto';
import { adminService, timestampFromWire } from '@weft/proto/wire';
import { meshToYaml } from '@weft/proto/yaml';
import { parse } from 'yaml';
import { everyEntry, listWithAdmin, type NetworkOptions, withAdmin } from './admin.ts';
import { requireTakenUp, sentenceOf } from './apply-command.ts';
import { formatTime, orDash } from './format.ts';
import { writeJson, writeJsonInOwnWords } from './json.ts';
import {
  changeMesh,
  changesFromWire,
  enforcedWords,
  getMesh,
  type MeshChange,
  readRevision,
  readTimeout,
  requireYes,
  sendMesh,
  signOf,
  writeChanges,
  writeHostReach,
} from './mesh-change.ts';
import { short, writeTable } from './table.ts';
import type { Terminal } from './terminal.ts';

export async function get(
  options: NetworkOptions & { readonly revision?: string },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const asked = options.revision === undefined ? 0 : readRevision('--revision', options.revision);
  const { mesh, revision } = await withAdmin(options, terminal, signal, (admin) =>
    getMesh(admin, options.network ?? '', asked),
  );
  const yaml = meshToYaml(mesh);
  if (options.json === undefined) terminal.out(`# revision ${revision}\n${yaml}`);
  // In the words of the mesh file: JSON is YAML, so that apply takes this too.
  else writeJsonInOwnWords(terminal, { network: mesh.network, revision, mesh: parse(yaml) as unknown });
}

export async function history(options: NetworkOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const network = options.network ?? '';
  const listed = await listWithAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listRevisions, { network, ...page }),
      ({ revisions }) => revisions,
    ),
  );
  const revisions = listed.map(({ revision, applyTime, changes }) => ({
    revision,
    appliedMs: timestampFromWire(applyTime, 'apply_time'),
    changes: changesFromWire(changes),
  }));
  if (options.json !== undefined) {
    writeJson(terminal, 'history', { revisions });
    return;
  }
  const rows = revisions.map(({ revision, appliedMs, changes }) => [
    String(revision),
    appliedMs === 0 ? '-' : formatTime(appliedMs),
    orDash(summary(changes, options.wide || terminal.columns === undefined ? Number.POSITIVE_INFINITY : SUMMARY)),
  ]);
  writeTable(terminal, ['REVISION', 'APPLIED', short('CHANGES')], rows, options);
}

/** What fits beside the rest into 80 columns. Where there is no end to a line, nothing is cut. */
const SUMMARY = 40;

/** `+ service redis, - policy a, and 3 more`. */
function summary(changes: readonly MeshChange[], most: number): string {
  const more = (left: number) => (left === 0 ? '' : `, and ${left} more`);
  let told = '';
  for (const [index, change] of changes.entries()) {
    const next = `${told}${index === 0 ? '' : ', '}${signOf(change)} ${change.subject}`;
    const left = changes.length - index - 1;
    if (index > 0 && next.length + more(left).length > most) return told + more(left + 1);
    told = next;
  }
  return told;
}

export interface RollbackOptions extends NetworkOptions {
  readonly yes?: true;
  readonly leaveBehind?: true;
  readonly wait?: true;
  readonly timeout: string;
}

/** Applies a mesh that was, after a look at what that changes. */
export async function rollback(
  to: string,
  options: RollbackOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const asked = readRevision('REVISION', to);
  const timeoutMs = readTimeout(options.timeout);
  const answer = await withAdmin(options, terminal, signal, async (admin) => {
    const before = await getMesh(admin, options.network ?? '', 0);
    const { network } = before.mesh;
    const { mesh } = await getMesh(admin, network, asked);
    const expectedRevision = before.revision;
    const terms = defined({ expectedRevision, formerRevision: asked, leaveBehind: options.leaveBehind });
    const { changes, hostReach } = await sendMesh(admin, mesh, { ...terms, dryRun: true });
    if (options.json === undefined) {
      writeChanges(changes, terminal);
      writeHostReach(hostReach, terminal);
    }
    if (changes.length > 0 && options.yes === undefined)
      await requireYes(`this sets network ${network} back to revision ${asked};`, terminal, signal);
    const waitMs = options.wait && timeoutMs;
    const changed = await changeMesh(admin, network, waitMs !== undefined, terminal, signal, () =>
      sendMesh(admin, mesh, defined({ ...terms, waitMs })),
    );
    const enforced = waitMs === undefined ? undefined : await enforcedWords(admin, network, changed);
    return { network, ...changed, enforced };
  });
  const { network, revision, changes, hostReach, stragglers, notKept, enforced } = answer;
  if (options.json !== undefined) {
    writeJson(terminal, 'rollback', { network, revision, from: asked, changes, hostReach, stragglers, notKept });
  } else {
    const what = changes.length === 0 ? 'is already' : 'is again';
    terminal.out(`network ${network} ${what} as of revision ${asked}: ${sentenceOf(revision, enforced)}\n`);
  }
  requireTakenUp(revision, stragglers, notKept, options.timeout);
}
