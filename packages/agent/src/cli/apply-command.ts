/** weft apply: from a mesh file to what every agent enforces. */
import { status } from '@grpc/grpc-js';
import { ADMIN_LIMITS, type ChangeOperation } from '@weft/proto';
import {
  adminService,
  changeOperationCodec,
  durationToWire,
  errorDetails,
  isServiceError,
  meshToWire,
  type pb,
  problemsFromWire,
  required,
} from '@weft/proto/wire';
import { parseDuration } from '../config/duration.ts';
import { FileError, formatProblem } from '../config/errors.ts';
import { type MeshFile, readMeshFile } from '../config/mesh-file.ts';
import { type Admin, type AdminOptions, withAdmin } from './admin.ts';
import { CommandError, wrongValue } from './errors.ts';
import { writeJson } from './json.ts';
import { notKeptSentence, stragglersSentence } from './taken-up.ts';
import { type Color, paint, paintErr, printable, type Terminal } from './terminal.ts';

export interface ApplyOptions extends AdminOptions {
  readonly file: string;
  readonly dryRun?: true;
  readonly wait?: true;
  readonly leaveBehind?: true;
  readonly timeout: string;
  readonly expect?: string;
  readonly json?: true;
}

/** More than control takes to answer once the time is up. */
const ANSWER_MARGIN_MS = 5_000;

const SIGNS: Readonly<Record<ChangeOperation, readonly [string, Color]>> = {
  add: ['+', 'green'],
  change: ['~', 'yellow'],
  remove: ['-', 'red'],
};

export async function apply(options: ApplyOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const timeoutMs = parseDuration(options.timeout);
  if (timeoutMs === undefined || timeoutMs < 1 || timeoutMs > ADMIN_LIMITS.waitMs)
    wrongValue('--timeout', 'a duration from 1ms to 10m, such as 10s', options.timeout);
  const expectedRevision = Number(options.expect ?? 0);
  if (options.expect !== undefined && !(Number.isSafeInteger(expectedRevision) && expectedRevision > 0))
    wrongValue('--expect', 'the number of a revision', options.expect);
  const file = await readMeshFile(options.file);
  const answer = await withAdmin(options, terminal, signal, (admin) =>
    send(admin, file, options, { timeoutMs, expectedRevision }),
  );

  const warnings = problemsFromWire(answer.warnings);
  for (const { field, message } of warnings) {
    const problem = printable(formatProblem(file.file, file.problem(field, message)));
    terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${problem}\n`);
  }
  const changes = answer.changes.map(({ operation, subject, detail }) => ({
    operation: changeOperationCodec.fromWire(operation, 'operation'),
    subject,
    detail,
  }));
  if (options.json !== undefined) {
    writeJson(terminal, {
      network: file.mesh.network,
      revision: answer.revision,
      dryRun: options.dryRun ?? false,
      changes,
      warnings,
      stragglers: answer.stragglers,
      notKept: answer.notKept,
    });
  } else {
    for (const { operation, subject, detail } of changes) {
      const [sign, color] = SIGNS[operation];
      const words = printable(detail === '' ? subject : `${subject}: ${detail}`);
      terminal.out(`${paint(terminal, color, sign)} ${words}\n`);
    }
    terminal.out(`${outcome(options, file.mesh.network, changes.length, answer.revision, answer.stragglers.length)}\n`);
  }
  const stragglers = stragglersSentence(answer.revision, answer.stragglers, options.timeout);
  if (stragglers !== undefined) throw new CommandError('stragglers', stragglers);
  const notKept = notKeptSentence(answer.revision, answer.notKept);
  if (notKept !== undefined) throw new CommandError('not-kept', notKept);
}

async function send(
  admin: Admin,
  file: MeshFile,
  options: ApplyOptions,
  { timeoutMs, expectedRevision }: { readonly timeoutMs: number; readonly expectedRevision: number },
): Promise<pb.ChangeResult> {
  const wait = options.wait ?? false;
  const dryRun = options.dryRun ?? false;
  const leaveBehind = options.leaveBehind ?? false;
  const terms = { dryRun, wait, timeout: durationToWire(timeoutMs), expectedRevision, leaveBehind };
  const request = { mesh: meshToWire(file.mesh), terms };
  try {
    const deadlineMs = (wait ? timeoutMs : 15_000) + ANSWER_MARGIN_MS;
    return required((await admin.call(adminService.apply, request, deadlineMs)).result, 'result');
  } catch (error) {
    const { fields: problems } = errorDetails(error);
    if (!isServiceError(error) || error.code !== status.INVALID_ARGUMENT || problems.length === 0) throw error;
    const placed = problems.map(({ field, message }) => file.problem(field, message));
    throw new FileError('file-invalid', file.file, placed, { cause: error });
  }
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
