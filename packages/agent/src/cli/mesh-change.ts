/** A mesh sent to control, to be set or only compared, and what that came to, for people and programs. */
import { status } from '@grpc/grpc-js';
import {
  ADMIN_LIMITS,
  AUTO_PORTS,
  type ChangeOperation,
  capabilityOf,
  type FieldProblem,
  type HostReach,
  listed,
  type Mesh,
  PUBLISHES_OPENED,
  READS_RIGHTS,
  type RulePlaces,
} from '@weft/proto';
import {
  actionCodec,
  adminService,
  changeOperationCodec,
  durationToWire,
  errorDetails,
  isServiceError,
  meshFromWire,
  meshToWire,
  type pb,
  problemsFromWire,
  required,
} from '@weft/proto/wire';
import { parseDuration } from '../config/duration.ts';
import { FileError, formatProblem } from '../config/errors.ts';
import type { MeshFile } from '../config/mesh-file.ts';
import { type Admin, CALL_DEADLINE_MS } from './admin.ts';
import { CommandError, wrongValue } from './errors.ts';
import { type Color, paint, paintErr, printable, type Terminal } from './terminal.ts';
import { connectedTo, tellingWhoIsMissing } from './waiting.ts';

/** How a mesh is sent: any of it left out is not asked for. */
export interface Terms {
  readonly dryRun?: boolean;
  readonly leaveBehind?: boolean;
  /** How long to wait until all enforce it. */
  readonly waitMs?: number;
  /** 0 for any. */
  readonly expectedRevision?: number;
  /** The revision that the mesh was taken from. */
  readonly formerRevision?: number;
}

export interface MeshChange {
  readonly operation: ChangeOperation;
  readonly subject: string;
  readonly detail: string;
}

export interface MeshChanged {
  readonly revision: number;
  readonly changes: readonly MeshChange[];
  readonly hostReach: readonly HostReach[];
  readonly warnings: readonly FieldProblem[];
  readonly stragglers: readonly string[];
  readonly notKept: readonly string[];
}

/** More than control takes to answer once the time is up. */
const ANSWER_MARGIN_MS = 5_000;

const SIGNS: Readonly<Record<ChangeOperation, readonly [string, Color]>> = {
  add: ['+', 'green'],
  change: ['~', 'yellow'],
  remove: ['-', 'red'],
};

export async function getMesh(admin: Admin, network: string, asked: number) {
  const { mesh, revision } = await admin.call(adminService.getMesh, { network, revision: asked });
  return { mesh: meshFromWire(mesh), revision };
}

/** Control of an older version would pass over what the mesh says of what hosts may run, and of ports. Throws CommandError. */
async function requireReads(admin: Admin, { agents, services }: Mesh): Promise<void> {
  const said = agents.find((agent) => agent.services.length > 0);
  const auto = services.find(({ autoPorts }) => autoPorts === true);
  if (said === undefined && auto === undefined) return;
  const { capability, version } = await admin.call(adminService.getStatus, {});
  const known = capabilityOf(capability);
  const refuse = (what: string, part: string) =>
    new CommandError(
      'control-refused',
      `control of version ${version} does not know ${what}: upgrade it first, or take ${part} out; nothing was changed`,
    );
  if (said !== undefined && known < READS_RIGHTS) throw refuse(`agents.${said.name}.services`, 'the key');
  if (auto !== undefined && known < PUBLISHES_OPENED)
    throw refuse(`${AUTO_PORTS} among services.${auto.name}.ports`, 'the word');
}

/** `places`: left out for a mesh of no file. Rejects with grpc-js's ServiceError, CommandError. */
export async function sendMesh(admin: Admin, mesh: Mesh, terms: Terms, places?: RulePlaces): Promise<MeshChanged> {
  const { dryRun = false, leaveBehind = false, waitMs, expectedRevision = 0, formerRevision = 0 } = terms;
  const wait = waitMs === undefined ? { wait: false } : { wait: true, timeout: durationToWire(waitMs) };
  await requireReads(admin, mesh);
  const request = {
    mesh: meshToWire(mesh),
    terms: { ...wait, dryRun, expectedRevision, leaveBehind },
    ...(places && { file: places.file, policyLines: places.lines }),
    formerRevision,
  };
  const deadlineMs = (waitMs ?? CALL_DEADLINE_MS) + ANSWER_MARGIN_MS;
  const result = required((await admin.call(adminService.apply, request, deadlineMs)).result, 'result');
  const { revision, stragglers, notKept } = result;
  return {
    revision,
    changes: changesFromWire(result.changes),
    hostReach: hostReachFromWire(result.hostReach),
    warnings: problemsFromWire(result.warnings),
    stragglers,
    notKept,
  };
}

/** The mesh is sent, to be set: says who is missing while it waits for that, and of an interruption what it leaves. */
export async function changeMesh(
  admin: Admin,
  network: string,
  waits: boolean,
  terminal: Terminal,
  signal: AbortSignal,
  send: () => Promise<MeshChanged>,
): Promise<MeshChanged> {
  try {
    return await (waits ? tellingWhoIsMissing(admin, network, terminal, send()) : send());
  } catch (cause) {
    if (!signal.aborted) throw cause;
    const left = `control may have taken the mesh, and goes on with it: weft history --network ${network} tells`;
    throw new CommandError('interrupted', `interrupted; ${left}`, { cause });
  }
}

/** Who has taken up a change that was waited for: undefined when it was not. */
export async function enforcedWords(
  admin: Admin,
  network: string,
  { stragglers }: MeshChanged,
): Promise<string | undefined> {
  if (stragglers.length > 0) return undefined;
  // The change stands, whatever comes of this question.
  const connected = await connectedTo(admin, network).catch(() => undefined);
  if (connected === undefined) return 'enforced by every connected agent';
  return connected === 0
    ? 'no agent is connected, so that none enforces it yet'
    : `enforced by every connected agent (${connected})`;
}

/** As sendMesh, for one that came from a file: rejects with FileError where control finds fields of it wrong. */
export async function sendMeshFile(admin: Admin, file: MeshFile, terms: Terms): Promise<MeshChanged> {
  try {
    return await sendMesh(admin, file.mesh, terms, file.places);
  } catch (error) {
    const { fields: problems } = errorDetails(error);
    if (!isServiceError(error) || error.code !== status.INVALID_ARGUMENT || problems.length === 0) throw error;
    const placed = problems.map(({ field, message }) => file.problem(field, message));
    throw new FileError('file-invalid', file.file, placed, { cause: error });
  }
}

export function changesFromWire(changes: readonly pb.Change[]): MeshChange[] {
  return changes.map(({ operation, subject, detail }) => ({
    operation: changeOperationCodec.fromWire(operation, 'operation'),
    subject,
    detail,
  }));
}

export function hostReachFromWire(reach: readonly pb.HostReach[]): HostReach[] {
  return reach.map(({ hosts, hostCount, to, toCount, verdict, rule }) => ({
    ...{ hosts, hostCount, to, toCount, rule },
    verdict: actionCodec.fromWire(verdict, 'verdict'),
  }));
}

/** One a line: `host:data-1 loses redis:6379 (rule no-web)`; and once what becomes of what is open. */
export function writeHostReach(reach: readonly HostReach[], terminal: Terminal): void {
  for (const { hosts, hostCount, to, toCount, verdict, rule } of reach) {
    const [word, color]: [string, Color] = verdict === 'allow' ? ['gain', 'green'] : ['lose', 'red'];
    const who = listed(
      hosts.map((host) => `host:${host}`),
      NAMED,
      hostCount,
    );
    const by = rule === 'default' ? 'by the default' : `rule ${rule}`;
    terminal.out(
      `${printable(who)} ${paint(terminal, color, hostCount === 1 ? `${word}s` : word)} ${printable(`${listed(to, NAMED, toCount)} (${by})`)}\n`,
    );
  }
  if (reach.some(({ verdict }) => verdict === 'deny'))
    terminal.out(
      'what is open as such a host and loses is cut, also where rules permit it to the service that it is of: opened again, it passes as the service\n',
    );
}

/** Names that a line has. */
const NAMED = 8;

/** One a line: `+ service redis`. */
export function writeChanges(changes: readonly MeshChange[], terminal: Terminal): void {
  for (const change of changes) {
    const [sign, color] = SIGNS[change.operation];
    terminal.out(`${paint(terminal, color, sign)} ${changeWords(change)}\n`);
  }
}

export function signOf({ operation }: MeshChange): string {
  return SIGNS[operation][0];
}

export function changeWords({ subject, detail }: MeshChange): string {
  return printable(detail === '' ? subject : `${subject}: ${detail}`);
}

/** At their lines of the file. */
export function warnOf(warnings: readonly FieldProblem[], file: MeshFile, terminal: Terminal): void {
  for (const { field, message } of warnings) {
    const problem = printable(formatProblem(file.file, file.problem(field, message)));
    terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${problem}\n`);
  }
}

/** Throws CommandError unless a person says yes. */
export async function requireYes(question: string, terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (terminal.ask === undefined)
    throw new CommandError(
      'not-confirmed',
      `${question} nobody is at a terminal to be asked: --yes says so; nothing was changed`,
    );
  const answer = await terminal.ask(`${question} go on? [y/N] `, signal);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('not-confirmed', 'nothing was changed');
}

/** What `--timeout` says. Throws UsageError. */
export function readTimeout(text: string): number {
  const timeoutMs = parseDuration(text);
  if (timeoutMs === undefined || timeoutMs < 1 || timeoutMs > ADMIN_LIMITS.waitMs)
    wrongValue('--timeout', 'a duration from 1ms to 10m, such as 10s', text);
  return timeoutMs;
}

/** The number of a revision, as `option` was given it. Throws UsageError. */
export function readRevision(option: string, text: string): number {
  const revision = Number(text);
  if (!/^\d{1,15}$/.test(text) || revision === 0) wrongValue(option, 'the number of a revision', text);
  return revision;
}
