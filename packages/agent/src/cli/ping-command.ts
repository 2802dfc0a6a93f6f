/** weft ping: the way to another host as it is now, through the agent of this one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, hostNameProblem } from '@weft/proto';
import { adminService, timestampFromWire } from '@weft/proto/wire';
import type { PingAnswer } from '../observe/local-question.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { type Admin, adminAccess, everyEntry, hasToken, type NetworkOptions, withAdmin } from './admin.ts';
import { CommandError, UsageError, wrongValue } from './errors.ts';
import { formatTime } from './format.ts';
import { writeJson } from './json.ts';
import { askRunning } from './local-agent.ts';
import { defaultDirectory } from './paths.ts';
import { paint, printable, type Terminal } from './terminal.ts';

export interface PingOptions extends NetworkOptions {
  readonly count: string;
  readonly data?: string;
}

const MOST_PINGS = 1_000;
const PAUSE_MS = 1_000;
/** Longer than the agent waits for a dial and an answer. */
const ANSWER_MS = 8_000;

/** Answers with the exit code: 4 when no ping was answered. */
export async function ping(
  host: string,
  options: PingOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<0 | 4> {
  const name = host.replace(/^host:/, '');
  if (hostNameProblem(name) !== undefined) throw new UsageError(`HOST is a host's name; found ${JSON.stringify(host)}`);
  const count = Number(options.count);
  if (!/^\d{1,4}$/.test(options.count) || count < 1 || count > MOST_PINGS)
    wrongValue('--count', `a number from 1 to ${MOST_PINGS}`, options.count);
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  if (options.network !== undefined) await requireNetwork(directory, options.network);
  const pings: PingAnswer[] = [];
  try {
    for (;;) {
      const one = await once(directory, name, options, terminal, signal);
      pings.push(one);
      if (options.json === undefined) terminal.out(`${line(name, one, terminal)}\n`);
      if (pings.length === count) break;
      await sleep(PAUSE_MS, undefined, { signal });
    }
  } finally {
    // Also of a ping that is ended before its count: what was found until then.
    if (pings.length > 0) writeAll(name, pings, options, terminal);
  }
  return pings.some((one) => 'path' in one) ? 0 : 4;
}

function writeAll(host: string, pings: readonly PingAnswer[], { json }: PingOptions, terminal: Terminal): void {
  if (json === undefined) writeSummary(pings, terminal);
  else writeJson(terminal, 'ping', { host, ...told(pings) });
}

/** Throws CommandError where asking again would be no use. */
async function once(
  directory: string,
  host: string,
  options: PingOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<PingAnswer> {
  try {
    return await askRunning<PingAnswer>(
      directory,
      { ask: 'ping', host },
      {
        isAnswer: (answer) => 'path' in answer || 'unreachable' in answer,
        lacks: 'does not try the way to a host',
        timeoutMs: ANSWER_MS,
        signal,
      },
    );
  } catch (error) {
    const untold = error instanceof CodedError && error.code === 'no-such-peer';
    const why = untold
      ? ((await whyNoHost(directory, host)) ?? (await askControl(host, options, terminal, signal)))
      : undefined;
    if (why === undefined) throw error;
    throw new CommandError('no-such-host', why, { cause: error });
  }
}

/** Throws CommandError where the agent is of another network: it may know a host of the same name. */
async function requireNetwork(directory: string, network: string): Promise<void> {
  const status = await readLocalStatus(directory);
  if (status === undefined || status.network === network) return;
  throw new CommandError(
    'nothing-to-ask',
    `the agent here is ${status.host} in network ${status.network}, and is told of no host of ${network}; name where that one's agent on this host keeps its state by --data`,
  );
}

/** Where the name is a service's; undefined where it may be a host's. */
async function whyNoHost(directory: string, host: string): Promise<string | undefined> {
  const status = await readLocalStatus(directory);
  return status?.names.some(({ name }) => name === `${host}.internal`)
    ? `${host} is a service, and ping takes a host's name: weft services has where it runs, weft explain host:${status.host} ${host}:PORT tries the way to it`
    : undefined;
}

/** Why an agent is not told of the host; undefined where control may not, or cannot, be asked. */
async function askControl(
  host: string,
  options: PingOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<string | undefined> {
  const access = adminAccess(options, terminal.env);
  if (!hasToken(access)) return undefined;
  try {
    return await withAdmin(options, terminal, signal, (admin) => whyUntold(admin, host, options.network ?? ''));
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

async function whyUntold(admin: Admin, host: string, network: string): Promise<string> {
  const agents = await everyEntry(
    (page) => admin.call(adminService.listAgents, { network, ...page }),
    (page) => page.agents,
  );
  if (agents.some((agent) => agent.host === host))
    return `${host} is a member, and no flow is permitted between it and this host, so that neither is told of the other: weft explain tells which rule decides`;
  const { entries } = await admin.call(adminService.listAudit, { network, pageSize: AUDIT_LOOKED_AT });
  const revoked = entries.find(({ action, subject }) => action === 'agent-revoke' && subject === `agent ${host}`);
  if (revoked === undefined) return `there is no host ${host}: none of this name has joined (weft agents)`;
  return `${host} was revoked at ${formatTime(timestampFromWire(revoked.time, 'time'))}, and is no member any more`;
}

/** Newest entries. */
const AUDIT_LOOKED_AT = 1_000;

function line(host: string, answer: PingAnswer, terminal: Terminal): string {
  if ('unreachable' in answer) return `${host}: ${paint(terminal, 'red', printable(answer.unreachable))}`;
  const { path } = answer;
  const place = path.address === '' ? '' : ` (${path.address})`;
  return `${host}${place}: ${milliseconds(path.roundTripUs)}`;
}

function milliseconds(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
}

function told(pings: readonly PingAnswer[]) {
  const paths = pings.flatMap((one) => ('path' in one ? [one.path] : []));
  const times = paths.map(({ roundTripUs }) => roundTripUs);
  const last = paths.at(-1);
  return {
    sent: pings.length,
    answered: paths.length,
    minUs: times.length === 0 ? null : Math.min(...times),
    avgUs: times.length === 0 ? null : Math.round(times.reduce((sum, time) => sum + time, 0) / times.length),
    maxUs: times.length === 0 ? null : Math.max(...times),
    address: last?.address ?? '',
    dialled: last?.dialled ?? null,
    // One answer shows that it passes; one that is lost shows nothing.
    pathSize: Math.max(0, ...paths.map(({ pathSize }) => pathSize)),
    pings: pings.map((one) =>
      'path' in one
        ? { roundTripUs: one.path.roundTripUs, unreachable: '' }
        : { roundTripUs: null, unreachable: one.unreachable },
    ),
  };
}

function writeSummary(pings: readonly PingAnswer[], terminal: Terminal): void {
  const { sent, answered, minUs, avgUs, maxUs, dialled, pathSize } = told(pings);
  if (minUs === null || avgUs === null || maxUs === null) {
    terminal.out(`${sent} sent, none answered\n`);
    return;
  }
  const times = [minUs, avgUs, maxUs].map((us) => milliseconds(us).replace(' ms', '')).join('/');
  terminal.out(`${sent} sent, ${answered} answered, min/avg/max ${times} ms\n`);
  terminal.out(
    `the tunnel was made by ${dialled === true ? 'this host' : 'the other host, and may be the only way'}\n`,
  );
  terminal.out(
    pathSize > 0
      ? `UDP passes: packets of ${pathSize} B go beside the tunnel\n`
      : 'UDP does not pass: datagrams go inside the tunnel, where a lost packet holds up those behind it\n',
  );
}
