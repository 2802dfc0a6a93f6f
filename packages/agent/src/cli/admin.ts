/** Talking to control as an operator: where it is, what proves us, and what its refusals mean. */
import { constants } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientReadableStream, type Metadata, status } from '@grpc/grpc-js';
import {
  ADMIN_LIMITS,
  decodeAdminToken,
  isAbsent,
  mayAccess,
  pages,
  parseHostPort,
  TokenError,
  tellProblems,
} from '@weft/proto';
import {
  AdminClient,
  bearerMetadata,
  ControlUnreachableError,
  callServerStream,
  callUnary,
  errorDetails,
  isServiceError,
  type pb,
  pinnedCredentials,
  type ServerStreamMethod,
  type UnaryMethod,
} from '@weft/proto/wire';
import { channelOptions } from '../member/channel.ts';
import { CommandError, UsageError } from './errors.ts';
import { defaultDirectory } from './paths.ts';
import { paintErr, printable, type Terminal } from './terminal.ts';

const DEFAULT_CONTROL = '127.0.0.1:7400';
export const CALL_DEADLINE_MS = 15_000;

/** Calls that change something, but for Apply, which may be a dry run: see changeMesh. */
const CHANGES = /\/(?:Create|Delete|Grant|Put|Remove|Rename|Revoke|Set)\w*$/;

/** The options that every admin command takes. */
export interface AdminOptions {
  readonly control?: string;
  readonly adminTokenFile?: string;
}

/** Of commands on one network, which people and programs read. */
export interface NetworkOptions extends AdminOptions {
  readonly network?: string;
  readonly json?: true;
  readonly wide?: true;
}

export interface AdminAccess {
  readonly address: string;
  readonly tokenFile: string;
  /** Whether the person named the file, rather than it being the default. */
  readonly named: boolean;
}

/** Where control and its admin token are said to be. Throws UsageError. */
export function adminAccess(options: AdminOptions, env: Terminal['env']): AdminAccess {
  const address = options.control ?? (env.WEFT_CONTROL || DEFAULT_CONTROL);
  if ((parseHostPort(address)?.port ?? 0) === 0) {
    const found = JSON.stringify(address);
    throw new UsageError(`--control and WEFT_CONTROL take HOST:PORT, such as ${DEFAULT_CONTROL}; found ${found}`);
  }
  const named = options.adminTokenFile ?? (env.WEFT_ADMIN_TOKEN_FILE || undefined);
  const tokenFile = named ?? join(defaultDirectory('weft-control', env), 'admin.token');
  return { address, tokenFile, named: named !== undefined };
}

/** Calls on control's admin service. */
export class Admin {
  readonly address: string;
  readonly #client: AdminClient;
  readonly #metadata: Metadata;
  readonly #signal: AbortSignal;

  constructor(address: string, client: AdminClient, metadata: Metadata, signal: AbortSignal) {
    this.address = address;
    this.#client = client;
    this.#metadata = metadata;
    this.#signal = signal;
  }

  /** Rejects with grpc-js's ServiceError; explained() makes it readable. */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: pb.Outgoing<Request>,
    deadlineMs = CALL_DEADLINE_MS,
  ): Promise<Response> {
    const answer = callUnary(this.#client, method, request, {
      signal: this.#signal,
      deadlineMs,
      metadata: this.#metadata,
    });
    return CHANGES.test(method.path) ? answer.catch((cause: unknown) => this.#interrupted(cause)) : answer;
  }

  /** What was sent may have taken effect, whatever ends the wait for its answer. */
  #interrupted(cause: unknown): never {
    if (!this.#signal.aborted) throw cause;
    const words = 'interrupted; control may have taken it, and goes on with it: weft audit tells';
    throw new CommandError('interrupted', words, { cause });
  }

  /** Without a deadline the stream lasts as long as control and the signal let it. */
  stream<Request, Response>(
    method: ServerStreamMethod<Request, Response>,
    request: pb.Outgoing<Request>,
    deadlineMs?: number,
  ): ClientReadableStream<Response> {
    const settings = { signal: this.#signal, metadata: this.#metadata, deadlineMs };
    return callServerStream(this.#client, method, request, settings);
  }

  close(): void {
    this.#client.close();
  }
}

/** Control of an older version does not know the call. Throws CommandError then. */
export async function knownToControl<Answer>(what: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!isServiceError(error) || error.code !== status.UNIMPLEMENTED) throw error;
    const words = `control is of an older version, which cannot ${what}; upgrade it first`;
    throw new CommandError('control-refused', words, { cause: error });
  }
}

/** Runs the work with a connection to control, and closes it. Throws CommandError with a readable reason. */
export async function withAdmin<Result>(
  options: AdminOptions,
  terminal: Terminal,
  signal: AbortSignal,
  work: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const access = adminAccess(options, terminal.env);
  const token = await readAdminToken(access, terminal);
  let admin: Admin | undefined;
  try {
    const credentials = await pinnedCredentials(access.address, decodeAdminToken(token).pin, signal);
    const client = new AdminClient(access.address, credentials, channelOptions);
    admin = new Admin(access.address, client, bearerMetadata(token), signal);
    return await work(admin);
  } catch (error) {
    throw explained(error, access);
  } finally {
    admin?.close();
  }
}

/** All entries of a listing, or the first `most`, page by page. `ask` hands on what pages are asked for by. */
export async function everyEntry<Page extends { readonly nextPageToken: string }, Entry>(
  ask: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<Page>,
  entriesOf: (page: Page) => readonly Entry[],
  most = Number.POSITIVE_INFINITY,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const listing = pages((pageToken) =>
    ask({ pageSize: Math.min(most - entries.length, ADMIN_LIMITS.page), pageToken }),
  );
  for await (const page of listing) {
    for (const entry of entriesOf(page)) entries.push(entry);
    if (entries.length >= most) break;
  }
  return entries;
}

/**
 * As withAdmin, for a listing: before the first apply there is no network and so nothing to list, which is no failure as
 * long as none was named.
 */
export async function listWithAdmin<Entry>(
  options: Pick<NetworkOptions, keyof AdminOptions | 'network'>,
  terminal: Terminal,
  signal: AbortSignal,
  list: (admin: Admin) => Promise<readonly Entry[]>,
): Promise<readonly Entry[]> {
  try {
    return await withAdmin(options, terminal, signal, list);
  } catch (error) {
    const cause = error instanceof CommandError ? error.cause : undefined;
    const nothing = options.network === undefined && isServiceError(cause) && cause.code === status.NOT_FOUND;
    if (!nothing) throw error;
    terminal.err(`${printable(cause.details)}\n`);
    return [];
  }
}

async function readAdminToken({ tokenFile }: AdminAccess, terminal: Terminal): Promise<string> {
  const advice =
    'name it with --admin-token-file or WEFT_ADMIN_TOKEN_FILE; weft-control serve makes it as DIR/admin.token';
  let token: string;
  try {
    const { mode } = await stat(tokenFile);
    if ((mode & 0o077) !== 0) {
      terminal.err(`${paintErr(terminal, 'yellow', 'warning')}: ${tokenFile} may be read by others; chmod 600 it\n`);
    }
    token = (await readFile(tokenFile, 'utf8')).trim();
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (cause as Error).message;
    throw new CommandError('admin-token', `cannot read the admin token ${tokenFile}: ${reason}; ${advice}`, { cause });
  }
  try {
    decodeAdminToken(token);
  } catch (cause) {
    if (!(cause instanceof TokenError)) throw cause;
    throw new CommandError('admin-token', `${tokenFile} holds no admin token: ${cause.message}; ${advice}`, { cause });
  }
  return token;
}

/** Whether control is asked by it: one that nobody named and that may not be read leads nowhere, and is as good as none. */
export function hasToken({ named, tokenFile }: Pick<AdminAccess, 'named' | 'tokenFile'>): boolean {
  return named || mayAccess(tokenFile, constants.R_OK);
}

/** Why nobody asks control by it, where nobody named it. */
export function untakenToken({ tokenFile }: Pick<AdminAccess, 'tokenFile'>): string {
  return isAbsent(tokenFile)
    ? `there is no admin token at ${tokenFile}`
    : `there is no admin token at ${tokenFile} that may be read`;
}

/** A failure in words for the person who gave the command. */
function explained(cause: unknown, { address, tokenFile }: AdminAccess): unknown {
  const told = (code: CommandError['code'], words: string) => new CommandError(code, words, { cause });
  const code = (cause as { code?: unknown } | undefined)?.code;
  const details = isServiceError(cause) ? cause.details : undefined;
  if (details === undefined) {
    if (cause instanceof ControlUnreachableError)
      return told(cause.code, `${cause.message}; or name another with --control`);
    if (code !== 'pin-mismatch') return cause;
    return told(
      'control-unreachable',
      `${address} is not the control that made the admin token of ${tokenFile}: its certificate has another key. ` +
        'Check --control and --admin-token-file',
    );
  }
  if (code === status.UNAUTHENTICATED)
    return told(
      'admin-token',
      `control at ${address} does not take the admin token of ${tokenFile}: ${details}; name the right file with --admin-token-file`,
    );
  if (code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED)
    return told(
      'control-unreachable',
      `control at ${address} did not answer: ${details}; check that weft-control runs there`,
    );
  const { fields, metadata } = errorDetails(cause);
  const why = fields.length > 1 ? tellProblems(fields, Number(metadata.fields ?? fields.length), '\n  ') : details;
  const words = `control at ${address} refused:${fields.length > 1 ? '\n  ' : ' '}${why}`;
  return new CommandError('control-refused', words, { cause }, fields);
}
