/** weft token: create, list, replace, revoke. */
import {
  ADMIN_LIMITS,
  decodeJoinToken,
  isHostName,
  joinTokenState,
  leadsToLoopback,
  runnableProblem,
  TokenError,
} from '@weft/proto';
import {
  adminService,
  durationToWire,
  problemsFromWire,
  rolesFromWire,
  rolesToWire,
  timestampFromWire,
} from '@weft/proto/wire';
import { parseDuration } from '../config/duration.ts';
import { everyEntry, knownToControl, listWithAdmin, type NetworkOptions, withAdmin } from './admin.ts';
import { wrongValue } from './errors.ts';
import { formatTime, orDash } from './format.ts';
import { writeJson } from './json.ts';
import { drop, short, writeTable } from './table.ts';
import { noteTakenUp } from './taken-up.ts';
import { paint, printable, type Terminal, warn } from './terminal.ts';

export interface TokenCreateOptions extends NetworkOptions {
  readonly services?: string;
  readonly host?: string;
  readonly gateway?: true;
  readonly newNetwork?: true;
  readonly reusable?: true;
  readonly ephemeral?: true;
  readonly ttl: string;
}

/** Prints the token alone, so that `TOKEN=$(weft token create ...)` is all it takes. */
export async function tokenCreate(options: TokenCreateOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const ttlMs = readTtl(options.ttl);
  const services = options.services === undefined ? [] : readRunnable(options.services);
  if (options.host !== undefined && !isHostName(options.host))
    wrongValue('--host', "a host's name in lower case, such as build-3", options.host);
  const made = await withAdmin(options, terminal, signal, (admin) =>
    admin.call(adminService.createToken, {
      network: options.network ?? '',
      services,
      host: options.host ?? '',
      roles: rolesToWire(options.gateway === true ? ['gateway'] : []),
      newNetwork: options.newNetwork ?? false,
      reusable: options.reusable ?? false,
      ephemeral: options.ephemeral ?? false,
      ttl: durationToWire(ttlMs),
    }),
  );
  const { token, tokenId, networkCreated } = made;
  const expiresMs = timestampFromWire(made.expireTime, 'expire_time');
  if (networkCreated) {
    // Control of an older version makes one for a misspelt name too: it must not go unseen.
    const network = printable(options.network ?? '');
    terminal.err(`note: network ${network} is new; it has no services until weft apply\n`);
  }
  const warnings = problemsFromWire(made.warnings);
  for (const { message } of warnings) warn(terminal, message);
  noteNearControl(token, terminal);
  if (options.json === undefined) {
    terminal.out(`${token}\n`);
    return;
  }
  writeJson(terminal, 'token create', { token, tokenId, expiresMs, networkCreated, warnings });
}

/** What `--ttl` says, in whole seconds, as milliseconds. Throws UsageError. */
function readTtl(text: string): number {
  const ttlSeconds = Math.ceil((parseDuration(text) ?? Number.NaN) / 1_000);
  if (!(ttlSeconds >= 1 && ttlSeconds <= ADMIN_LIMITS.tokenSeconds))
    wrongValue('--ttl', 'a duration from 1s to 365d, such as 1h or 7d', text);
  return ttlSeconds * 1_000;
}

function noteNearControl(token: string, terminal: Terminal): void {
  const here = onlyOnControlsHost(token);
  if (here === undefined) return;
  terminal.err(
    `note: the token leads to ${here}, where control's own host alone finds it; for other hosts start weft-control serve with ` +
      '--advertise HOST:PORT, its --listen more than loopback, and make another token\n',
  );
}

const EXPECTED = 'lower case names with commas between, such as redis,web, or kind:KIND, or *';

/** What `--services` says. Throws UsageError. */
export function readRunnable(text: string): string[] {
  const services = text.split(/[\s,]+/).filter((entry) => entry !== '');
  // What an unset variable of a script makes of it.
  if (services.length === 0) wrongValue('--services', EXPECTED, text);
  for (const entry of services) {
    if (runnableProblem(entry) !== undefined) wrongValue('--services', EXPECTED, entry);
  }
  return services;
}

/** Where the token leads, when no other host can follow it. These need not be where control listens: there may be a tunnel between. */
function onlyOnControlsHost(token: string): string | undefined {
  try {
    const { addresses } = decodeJoinToken(token);
    return addresses.every(leadsToLoopback) ? addresses.join(', ') : undefined;
  } catch (error) {
    // A later control's: what it says is not known here.
    if (error instanceof TokenError) return undefined;
    throw error;
  }
}

export interface TokenListOptions extends NetworkOptions {
  readonly all?: true;
}

export async function tokenList(options: TokenListOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const { network = '', all = false } = options;
  const listed = await listWithAdmin(options, terminal, signal, (admin) =>
    everyEntry(
      (page) => admin.call(adminService.listTokens, { network, all, ...page }),
      ({ tokens }) => tokens,
    ),
  );
  // Named one by one: a default that was not sent stands on the message's prototype, where a spread does not look.
  const tokens = listed.map((token) => ({
    tokenId: token.tokenId,
    services: token.services,
    host: token.host,
    roles: rolesFromWire(token.roles, 'roles'),
    reusable: token.reusable,
    ephemeral: token.ephemeral,
    createdMs: timestampFromWire(token.createTime, 'create_time'),
    expiresMs: timestampFromWire(token.expireTime, 'expire_time'),
    endedMs: timestampFromWire(token.endTime, 'end_time'),
    uses: token.uses,
    revoked: token.revoked,
    replacedBy: token.replacedBy,
  }));
  if (options.json !== undefined) {
    writeJson(terminal, 'token list', { tokens });
    return;
  }
  const head = [
    'ID',
    'STATE',
    short('SERVICES'),
    short('HOST', 5),
    drop('ROLES', 3),
    drop('REUSABLE', 2),
    drop('EPHEMERAL', 1),
    drop('USES', 4),
    'EXPIRES',
  ];
  const rows = tokens.map((token) => {
    const worth = joinTokenState(token, terminal.now());
    const state = token.replacedBy === '' ? worth : 'replaced';
    return [
      token.tokenId,
      { text: state, color: state === 'valid' ? ('green' as const) : ('dim' as const) },
      orDash(token.services.join(',')),
      orDash(token.host),
      orDash(token.roles.join(',')),
      token.reusable ? 'yes' : '-',
      token.ephemeral ? 'yes' : '-',
      String(token.uses),
      formatTime(token.expiresMs),
    ];
  });
  writeTable(terminal, head, rows, options);
}

/** Prints the new token alone. */
export async function tokenReplace(
  id: string,
  options: Omit<NetworkOptions, 'network'> & { readonly ttl?: string },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const ttl = options.ttl === undefined ? null : durationToWire(readTtl(options.ttl));
  const made = await withAdmin(options, terminal, signal, (admin) =>
    knownToControl('replace a token', admin.call(adminService.replaceToken, { tokenId: id, ttl })),
  );
  const { token, tokenId, revision, hosts, stragglers, notKept } = made;
  const stay = hosts.length === 0 ? 'no member had joined with it' : `these stay, by ${tokenId}: ${hosts.join(', ')}`;
  terminal.err(
    `${printable(`note: ${id} admits nobody from revision ${revision} on; ${stay}`)}\n` +
      (hosts.length === 0
        ? ''
        : 'note: weft agents --wide tells since when each; weft revoke HOST ends one that is not yours\n'),
  );
  noteNearControl(token, terminal);
  if (options.json === undefined) terminal.out(`${token}\n`);
  else {
    const expiresMs = timestampFromWire(made.expireTime, 'expire_time');
    writeJson(terminal, 'token replace', {
      ...{ token, tokenId, expiresMs, replaced: id, revision, hosts, stragglers, notKept },
    });
  }
  noteTakenUp(terminal, revision, stragglers, notKept);
}

export async function tokenRevoke(
  id: string,
  options: Omit<NetworkOptions, 'network'>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const answer = await withAdmin(options, terminal, signal, (admin) =>
    admin.call(adminService.revokeToken, { tokenId: id }),
  );
  const { revision, already, hosts, narrowed, madeEphemeral, stragglers, notKept } = answer;
  if (options.json !== undefined) {
    const told = { revision, already, hosts, narrowed, madeEphemeral, stragglers, notKept };
    writeJson(terminal, 'token revoke', { tokenId: id, ...told });
    return;
  }
  const what = [
    hosts.length > 0 && `with it ended: ${hosts.join(', ')}`,
    narrowed.length > 0 && `it had only added to these, which go on by what else they have: ${narrowed.join(', ')}`,
    forgotten(madeEphemeral),
  ].filter(Boolean);
  const came = what.join('; ') || 'no host had joined with it';
  const words = already ? `token ${id} was revoked already` : `token ${id} revoked at revision ${revision}; ${came}`;
  terminal.out(`${printable(words)}\n`);
  noteTakenUp(terminal, revision, stragglers, notKept);
}

/** Nothing where nobody is. */
function forgotten(madeEphemeral: readonly string[]): string {
  if (madeEphemeral.length === 0) return '';
  return `these were to stay by it alone, and are ephemeral from now on, so that control forgets them once they are away: ${madeEphemeral.join(', ')}`;
}

export async function revokeAgent(
  agent: string,
  options: NetworkOptions & { readonly withToken?: true },
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const request = { network: options.network ?? '', agent, withToken: options.withToken ?? false };
  const answer = await withAdmin(options, terminal, signal, (admin) => admin.call(adminService.revokeAgent, request));
  const { revision, agentId, hosts, narrowed, madeEphemeral, admittingToken, joinedAlike, addedAlike } = answer;
  const { stragglers, notKept, ...rest } = answer;
  // An older control names one alone.
  const admittingTokens =
    rest.admittingTokens.length === 0 && admittingToken !== '' ? [admittingToken] : rest.admittingTokens;
  if (options.json !== undefined) {
    writeJson(terminal, 'revoke', {
      ...{
        agentId,
        revision,
        hosts,
        narrowed,
        madeEphemeral,
        admittingToken,
        admittingTokens,
        joinedAlike,
        addedAlike,
      },
      ...{ stragglers, notKept },
    });
    return;
  }
  terminal.out(
    `${paint(terminal, 'bold', printable(agent))} (${printable(agentId)}) revoked at revision ${revision}\n`,
  );
  if (options.withToken !== undefined) {
    terminal.out(`${printable(`with its token ended: ${hosts.join(', ')}`)}\n`);
    if (narrowed.length > 0)
      terminal.out(`${printable(`they had only added to these, which go on: ${narrowed.join(', ')}`)}\n`);
    if (madeEphemeral.length > 0) terminal.out(`${printable(forgotten(madeEphemeral))}\n`);
  } else if (admittingTokens.length > 0) {
    const several = admittingTokens.length > 1;
    const others = [
      joinedAlike.length > 0 && `so did ${joinedAlike.join(', ')}, which go on`,
      addedAlike.length > 0 && `to ${addedAlike.join(', ')} it only added`,
    ].filter(Boolean);
    terminal.err(
      `${printable(
        `note: it had joined with ${several ? 'tokens' : 'token'} ${admittingTokens.join(', ')}, with which others can still join under other names; ` +
          `${others.join('; ') || 'no other host has'}. If somebody else may have ${several ? 'one' : 'it'}, weft token replace ID ` +
          'keeps those; weft token revoke ID ends them',
      )}\n`,
    );
  }
  noteTakenUp(terminal, revision, stragglers, notKept);
}
