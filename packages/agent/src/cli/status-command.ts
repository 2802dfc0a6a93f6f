/** weft status: this host's agent, and control as far as it may be asked. */
import { capabilityOf, formatHostPort, formatPortRange, isBreak, messageOf } from '@weft/proto';
import { adminService, type pb, timestampFromWire } from '@weft/proto/wire';
import { formatDuration } from '../config/duration.ts';
import { loadIdentity, type Membership } from '../member/identity.ts';
import { type AgentStatus, isMissed, type UnreachableStatus } from '../observe/agent-status.ts';
import { StatusSocketError } from '../observe/errors.ts';
import { readLocalStatus } from '../observe/status-client.ts';
import { PERL } from '../owner/diagnosis.ts';
import type { Outlook } from '../owner/outlook.ts';
import { adminAccess, hasToken, type NetworkOptions, untakenToken, withAdmin } from './admin.ts';
import { CommandError } from './errors.ts';
import { formatBytes, formatTime, orDash, SKEW_BOUND_MS } from './format.ts';
import { writeJson } from './json.ts';
import { defaultDirectory } from './paths.ts';
import type { AnswerOf } from './schemas/index.ts';
import { type Cell, type Column, short, writeTable } from './table.ts';
import { paint, printable, type Terminal, warn } from './terminal.ts';
import { trustHints } from './trust-hints.ts';

export interface StatusOptions extends NetworkOptions {
  readonly data?: string;
}

/** Undefined when it was not asked. */
type ControlAnswer = Answered | CommandError | undefined;

interface Answered extends pb.GetStatusResponse {
  /** Its clock less this host's, milliseconds; undefined of a control that does not tell. */
  readonly aheadMs: number | undefined;
}

/** Rows of the table of peers, and lines of those that are not reached. */
const PEERS_SHOWN = 20;

/**
 * Answers with the exit code: 4 when anything is wrong here, or with control; else 1 when the agent could not be asked. Clocks apart are told, and are what weft check
 * is for.
 */
export async function showStatus(options: StatusOptions, terminal: Terminal, signal: AbortSignal): Promise<0 | 1 | 4> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  const access = adminAccess(options, terminal.env);
  const { agent, unread } = await askAgentHere(directory);
  const control = await askControl(options, hasToken(access), terminal, signal);
  // With nothing to tell beside it, it is what failed.
  if (unread !== undefined && (control === undefined || control instanceof CommandError)) {
    if (control !== undefined) warn(terminal, `control is not reachable: ${control.message}`);
    throw unread;
  }

  const off = agent === undefined && unread === undefined;
  const member = off ? await memberOf(directory, terminal) : undefined;
  if (off && member === undefined && control instanceof CommandError) throw control;
  if (off && member === undefined && control === undefined) {
    throw new CommandError(
      'nothing-to-ask',
      `no agent runs that keeps its state in ${directory}, and ${untakenToken(access)} to ask control with; ` +
        'start it: weft up; or name where another agent of this host keeps it by --data, or the token by --admin-token-file',
    );
  }
  const broken = (agent !== undefined && isBroken(agent)) || member !== undefined || isFailing(control);
  const code = broken ? 4 : unread === undefined ? 0 : 1;
  if (options.json !== undefined) {
    writeJson(terminal, 'status', {
      agent: agent ? { ...agent, hints: trustHints(agent) } : null,
      unread: unread?.message ?? null,
      missing: member ? { host: member.host, network: member.network } : null,
      control: controlJson(control, access.address),
    });
    return code;
  }
  const whose = member === undefined ? '' : `, as ${member.host} in network ${member.network}, which is off`;
  if (unread !== undefined)
    terminal.out(`${'agent'.padEnd(11)}${paint(terminal, 'red', 'not known')}: ${printable(unread.message)}\n`);
  else if (agent === undefined)
    terminal.out(`${'agent'.padEnd(11)}${printable(`no agent runs here (${directory})${whose}; start it: weft up`)}\n`);
  else writeAgent(agent, options, terminal);
  if (control instanceof CommandError) {
    terminal.out(`\ncontrol    ${paint(terminal, 'red', 'not reachable')}: ${printable(control.message)}\n`);
  } else if (control !== undefined) writeControl(control, access.address, options, terminal);
  return code;
}

/** `unread`: one may run, and cannot be asked by who runs this. */
async function askAgentHere(
  directory: string,
): Promise<{ readonly agent?: AgentStatus | undefined; readonly unread?: StatusSocketError }> {
  try {
    return { agent: await readLocalStatus(directory) };
  } catch (error) {
    if (error instanceof StatusSocketError) return { unread: error };
    throw error;
  }
}

/**
 * Of an agent that is off: as what it is missed. Undefined where there is none, where it cannot be read, which is told, and where starting it would not make
 * it that again: a revoked one, and an ephemeral one, which control forgets.
 */
async function memberOf(directory: string, terminal: Terminal): Promise<Membership | undefined> {
  try {
    const membership = (await loadIdentity(directory))?.membership;
    return membership?.revoked || membership?.ephemeral ? undefined : membership;
  } catch (error) {
    warn(terminal, `whether this host is a member of a network is not known: ${messageOf(error)}`);
    return undefined;
  }
}

function isBroken({ state, problems, tunnel }: AgentStatus): boolean {
  return state !== 'connected' || problems.some(isBreak) || (tunnel.unreachable ?? []).some(isMissed);
}

/** Control that is not reached, or tells of trouble of its own. */
function isFailing(control: ControlAnswer): boolean {
  if (control === undefined) return false;
  return control instanceof CommandError || control.problems.length > 0 || Boolean(control.olderData);
}

async function askControl(
  options: StatusOptions,
  isAsked: boolean,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ControlAnswer> {
  if (!isAsked) return undefined;
  try {
    const request = { network: options.network ?? '' };
    return await withAdmin(options, terminal, signal, async (admin) => {
      const askedMs = terminal.now();
      const answer = await admin.call(adminService.getStatus, request);
      return Object.assign(answer, { aheadMs: aheadOf(answer, askedMs, terminal.now()) });
    });
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

/** As far as it is beyond the time that the answer took: the clock was read at some moment of that. */
function aheadOf({ time }: pb.GetStatusResponse, askedMs: number, answeredMs: number): number | undefined {
  const saidMs = timestampFromWire(time, 'time');
  if (saidMs === 0) return undefined;
  if (saidMs < askedMs) return saidMs - askedMs;
  return Math.max(0, saidMs - answeredMs);
}

function controlJson(control: ControlAnswer, address: string): AnswerOf<'status'>['control'] {
  if (control === undefined) return null;
  if (control instanceof CommandError) return { address, reachable: false, error: control.message };
  const { version, capability, networks, olderData, acceptsOlderData } = control;
  return {
    address,
    reachable: true,
    version,
    capability,
    startedMs: startOf(control),
    clockAheadMs: control.aheadMs ?? null,
    olderData: olderData ? { ...olderDataOf(olderData) } : null,
    acceptsOlderData,
    problems: problemsOf(control),
    networks: networks.map((network) => ({
      network: network.network,
      revision: network.revision,
      services: network.services,
      agents: network.agents,
      connected: network.connected,
      behind: network.behind,
      behindCount: network.behindCount,
      flowsDropped: network.flowsDropped,
    })),
  };
}

function writeAgent(agent: AgentStatus, options: StatusOptions, terminal: Terminal): void {
  const line = (name: string, text: string) => terminal.out(`${name.padEnd(11)}${text}\n`);
  line('agent', printable(`${agent.host} in network ${agent.network} (${agent.agentId}), version ${agent.version}`));
  line('state', stateOf(agent, terminal));
  line('revision', `${agent.revision} enforced`);
  line('dns', printable(agent.dns));
  const { tunnel, flows } = agent;
  const bytes = `${formatBytes(tunnel.bytesSent)} sent, ${formatBytes(tunnel.bytesReceived)} received`;
  line('tunnels', printable(`${tunnel.open} open, listening on ${tunnel.address}, ${bytes}`));
  if (agent.gateway !== '') line('gateway', printable(agent.gateway));
  line('listeners', `${agent.listeners.ports} ports of VIPs`);
  line('flows', `${flows.open} open, ${flows.recorded} recorded, ${flows.dropped} records dropped`);
  if (agent.callers !== undefined) line('callers', callersOf(agent.callers));
  if (agent.native !== undefined) {
    line('datagrams', printable(agent.native.used ? 'many by one call' : `one by one: ${agent.native.cause}`));
  }
  if (agent.sealing !== undefined) {
    line('records', printable(agent.sealing.inPlace ? 'sealed in place' : `by node:crypto: ${agent.sealing.cause}`));
  }
  if (agent.second !== undefined && agent.second.cause !== '')
    line('workers', printable(`no second thread beside bulk: ${agent.second.cause}`));
  if (agent.workers.length > 1) {
    const open = agent.workers.map((worker) => worker.flows.open).join(', ');
    line('workers', `${agent.workers.length} threads, with ${open} flows open`);
  }
  const table = (head: readonly Column[], rows: readonly Cell[][]) => {
    if (rows.length === 0) return;
    terminal.out('\n');
    writeTable(terminal, head, rows, options);
  };
  const peers = tunnel.peers
    .slice(0, PEERS_SHOWN)
    .map(({ host, tunnels, roundTripUs, pathSize }): Cell[] => [
      host,
      String(tunnels),
      roundTripUs === 0 ? '-' : `${(roundTripUs / 1_000).toFixed(1)} ms`,
      pathSize === 0 ? '-' : `${pathSize} B`,
    ]);
  table([short('PEER'), 'TUNNELS', 'ROUND TRIP', 'PATH'], peers);
  const more = tunnel.peers.length - peers.length;
  if (more > 0) terminal.out(`and ${more} more: weft status --json\n`);
  table(
    [short('RUNS HERE'), 'STATE', short('NOT LISTENING')],
    agent.instances.map(({ service, healthy, notListening }): Cell[] => [
      service,
      healthy ? { text: 'healthy', color: 'green' } : { text: 'not healthy', color: 'red' },
      orDash(
        notListening
          .map(({ first, last, protocol }) => `${first === last ? first : `${first}-${last}`}/${protocol}`)
          .join(','),
      ),
    ]),
  );
  const exposed = agent.exposed ?? [];
  table(
    [short('EXPOSED'), 'PLACE', short('PROGRAM'), 'STATE'],
    exposed
      .slice(0, PEERS_SHOWN)
      .map(({ service, protocol, address, port, program, closed }): Cell[] => [
        service,
        `${formatHostPort(address, port)}/${protocol}`,
        orDash(program),
        closed ? { text: 'closed by the guard', color: 'green' } : { text: 'open', color: 'yellow' },
      ]),
  );
  if (exposed.length > PEERS_SHOWN) terminal.out(`and ${exposed.length - PEERS_SHOWN} more: weft status --json\n`);
  table(
    [short('NAME'), 'KIND', 'ADDRESS', short('PORTS'), 'HEALTHY'],
    agent.names.map(({ name, kind, address, ports, instances, healthy }): Cell[] => [
      name,
      kind,
      address ?? 'outside --vip-range',
      orDash(ports.join(',')),
      { text: `${healthy}/${instances}`, color: healthy > 0 ? 'green' : 'red' },
    ]),
  );
  table(
    [short('SHUT IN'), 'USER', 'PROCESS', short('UNIT', 1), short('SERVES'), 'FOR', 'OUT OF THE MESH'],
    (agent.sandboxes ?? []).map(({ service, user, pid, unit = '', ports = [], since, egress }): Cell[] => [
      service,
      user,
      pid === 0 ? '–' : String(pid),
      orDash(unit),
      orDash(ports.map(formatPortRange).join(',')),
      formatDuration(terminal.now() - Date.parse(since)),
      egress === undefined ? 'nothing' : `${egress.streams} TCP, ${egress.pairs} UDP`,
    ]),
  );
  const hints = trustHints(agent);
  if (hints.length > 0) terminal.out('\n');
  for (const hint of hints) line('hint', printable(hint));
  const { unreachable = [] } = tunnel;
  if (unreachable.length > 0) terminal.out('\n');
  // What fails by one that is called comes first.
  const told = unreachable.toSorted((one, other) => Number(isMissed(other)) - Number(isMissed(one)));
  for (const peer of told.slice(0, PEERS_SHOWN)) {
    const sinceMs = Date.parse(peer.since);
    const words = `since ${formatTime(sinceMs)} (${formatDuration(terminal.now() - sinceMs)}): ${peer.cause}`;
    if (isMissed(peer)) terminal.out(`${paint(terminal, 'red', 'unreachable')} ${printable(words)}\n`);
    else terminal.out(`${paint(terminal, 'dim', 'not there')}   ${printable(`${words}; ${whyNotMissed(peer)}`)}\n`);
  }
  const unsaid = unreachable.length - PEERS_SHOWN;
  if (unsaid > 0) terminal.out(`and ${unsaid} more hosts: weft status --json\n`);
  if (agent.problems.length > 0) terminal.out('\n');
  for (const { code, subject, message } of agent.problems) {
    terminal.out(`${paint(terminal, 'red', 'problem')}    ${printable(`${subject}: ${message} (${code})`)}\n`);
  }
}

const TOLD_OF_OTHERS = { groups: 'user, unit and control group', units: 'user and unit', own: 'user alone' } as const;

/** What can be known of them, and what it would take to know more. */
function callersOf({ sight, sockets, missing }: Outlook): string {
  const more = missing.length === 0 ? '' : `; ${missing.join(' and ')} would tell all of them`;
  const told =
    sight === 'all'
      ? 'told by user, unit, program and target'
      : `of the agent's own user told by all of it, of others by ${TOLD_OF_OTHERS[sight]}${more}`;
  return sockets === 'kernel' ? told : `${told}; looked up slowly, for want of ${PERL} that works (perl-base)`;
}

function stateOf({ state, staleSince, control }: AgentStatus, terminal: Terminal): string {
  switch (state) {
    case 'connected':
      return paint(terminal, 'green', `connected to control at ${printable(control.address)}`);
    case 'revoked':
      return paint(terminal, 'red', 'revoked: control took the membership back; join again with a new token');
    case 'stale': {
      const since = staleSince === null ? terminal.now() : Date.parse(staleSince);
      const why = control.cause === '' ? '' : `: ${printable(control.cause)}`;
      const age = formatDuration(terminal.now() - since);
      return paint(terminal, 'yellow', `stale since ${formatTime(since)} (${age}); control is not connected${why}`);
    }
  }
}

function behindOf({ behind, behindCount }: pb.Message<'Network'>): string {
  const more = behindCount - behind.length;
  return more > 0 ? `${behind.join(',')} and ${more} more` : behind.join(',');
}

/** Named one by one: what was not sent stands on the message's prototype. */
function olderDataOf({ revision, hosts, sinceTime }: pb.OlderData) {
  return { revision, hosts, sinceMs: timestampFromWire(sinceTime, 'since_time') };
}

function problemsOf({ problems }: pb.GetStatusResponse) {
  return problems.map(({ code, message, sinceTime }) => {
    return { code, message, sinceMs: timestampFromWire(sinceTime, 'since_time') };
  });
}

function startOf({ startTime }: pb.GetStatusResponse): number {
  return timestampFromWire(startTime, 'start_time');
}

export function olderDataWords(olderData: pb.OlderData): string {
  const { revision, hosts, sinceMs } = olderDataOf(olderData);
  return (
    `since ${formatTime(sinceMs)} control knows that its data is older than what ${hosts.join(', ')} heard (revision ` +
    `${revision}). It serves no agent and changes nothing until a newer copy is restored, or it is started with --accept-older-data`
  );
}

function writeControl(answer: Answered, address: string, options: StatusOptions, terminal: Terminal): void {
  const aheadMs = answer.aheadMs ?? 0;
  const up = formatDuration(terminal.now() + aheadMs - startOf(answer));
  terminal.out(
    `\ncontrol    ${printable(`${address}, version ${answer.version}`)}, capability ${capabilityOf(answer.capability)}, up ${up}\n\n`,
  );
  if (Math.abs(aheadMs) > SKEW_BOUND_MS) {
    const apart = formatDuration(Math.abs(aheadMs));
    const words =
      `its clock is ${apart} ${aheadMs > 0 ? 'ahead of' : 'behind'} this host's: the times that it tells, and when tokens end, are by its own; set the one ` +
      'that is wrong and keep it right (timedatectl set-ntp true)';
    terminal.out(`${paint(terminal, 'yellow', 'clock')}      ${words}\n\n`);
  }
  if (answer.olderData) {
    terminal.out(`${paint(terminal, 'red', 'problem')}    ${printable(olderDataWords(answer.olderData))}\n\n`);
  }
  for (const { code, message, sinceMs } of problemsOf(answer)) {
    const words = `${code} since ${formatTime(sinceMs)}: ${message}`;
    terminal.out(`${paint(terminal, 'red', 'problem')}    ${printable(words)}\n\n`);
  }
  if (answer.acceptsOlderData) {
    const words =
      'it was started with --accept-older-data, and takes each older copy without a question; start it without, next time';
    terminal.out(`${paint(terminal, 'yellow', 'note')}       ${words}\n\n`);
  }
  writeTable(
    terminal,
    [short('NETWORK'), 'REVISION', 'SERVICES', 'AGENTS', 'CONNECTED', short('BEHIND'), 'FLOWS DROPPED'],
    answer.networks.map((network): Cell[] => [
      network.network,
      String(network.revision),
      String(network.services),
      String(network.agents),
      String(network.connected),
      network.behindCount === 0 ? '-' : { text: behindOf(network), color: 'yellow' },
      String(network.flowsDropped),
    ]),
    options,
  );
}

function whyNotMissed({ heard }: UnreachableStatus): string {
  return heard === false ? 'control does not hear it either' : 'nothing runs there that could be called';
}
