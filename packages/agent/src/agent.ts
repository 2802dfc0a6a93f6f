/** The agent, put together: what starts in which order, and ends in which. */
import { join } from 'node:path';
import {
  type AddressRange,
  formatAddress,
  formatHostPort,
  type HostPort,
  type JoinToken,
  messageOf,
  parseAddress,
} from '@weft/proto';
import type { Logger } from 'pino';
import { type ControlState, followControl, keptNetmap } from './agent-control.ts';
import { type OpenGateway, openGateway } from './agent-gateway.ts';
import type { AgentFile } from './config/agent-file.ts';
import { FlowRegistry } from './connections/registry.ts';
import { createDnsServer, type DnsServer } from './dns/index.ts';
import { createInbound, type Inbound } from './inbound/inbound.ts';
import { createPeerDirectory } from './netmap/directory.ts';
import { AgentError } from './netmap/errors.ts';
import { lockDirectory } from './netmap/lock.ts';
import { type Member, openMembership } from './netmap/membership.ts';
import { loadNetmap, NetmapKeeper } from './netmap/persist.ts';
import { Reporter } from './netmap/reporter.ts';
import { NetmapStore } from './netmap/store.ts';
import type { AgentStatus } from './observe/agent-status.ts';
import { describeAgent, makeReport } from './observe/describe.ts';
import { followMismatches } from './observe/mismatch.ts';
import { ProblemBoard } from './observe/problems.ts';
import { FlowRecorder } from './observe/recorder.ts';
import { serveStatus } from './observe/status-socket.ts';
import { createOutbound, type Outbound } from './outbound/outbound.ts';
import { type BoundTunnels, createTunnels } from './tunnel/create.ts';
import type { TunnelSettings } from './tunnel/settings.ts';
import { VERSION } from './version.ts';

export interface AgentOptions {
  /** Where keys and state are kept. */
  readonly directory: string;
  /** Needed at the first start only. */
  readonly token: JoinToken | undefined;
  readonly file: AgentFile;
  /** Where other agents connect, TCP and UDP. */
  readonly tunnel: HostPort;
  /** HOST:PORT told to peers instead of this host's own addresses. */
  readonly advertise: string | undefined;
  readonly dns: HostPort;
  /** Where VIPs and source addresses lie on this host. */
  readonly range: AddressRange;
  /** Name to go by when the token gives none. */
  readonly fallbackHost: string;
  readonly logger: Logger;
  /** Told once, when names are served and listeners are up. */
  readonly ready: (sentence: string) => void;
  /** Times and bounds of the data path where they are not the usual ones. */
  readonly limits?: DataPathLimits;
}

export interface DataPathLimits {
  /** A UDP flow without a datagram either way for this long is over, milliseconds. */
  readonly idleMs?: number;
  readonly tunnel?: Partial<TunnelSettings>;
}

/** Counters and addresses of interfaces change without anybody telling; the report is looked at this often. */
const REPORT_INTERVAL_MS = 10_000;

/** Runs the agent of one directory until the signal is aborted. Throws AgentError when it cannot start. */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { directory, token, fallbackHost, file, range, logger } = options;
  refuseLoops(file, range);
  const lock = await lockDirectory(directory);
  try {
    const services = [...file.services.keys()];
    const gateway = file.gateway !== undefined;
    const request = { directory, token, fallbackHost, services, gateway, version: VERSION, logger };
    let again: boolean;
    // A new membership is a new agent: other keys to share with peers, another netmap. All of it starts anew.
    do again = await runMember(options, await openMembership(request, signal), signal);
    while (again);
  } catch (error) {
    // Stopped while it was still starting: that is what was asked for.
    if (!signal.aborted) throw error;
  } finally {
    lock.release();
  }
}

/** A call to a target among the VIPs would be taken by this agent, sent to the target again, and so on until no port is left. */
function refuseLoops({ services }: AgentFile, { base, size }: AddressRange): void {
  for (const { name, targets } of services.values()) {
    for (const { port, protocol, host, targetPort } of targets) {
      const address = parseAddress(host);
      if (address === undefined || address < base || address >= base + size) continue;
      const target = formatHostPort(host, targetPort);
      throw new AgentError(
        'target-loops',
        `the agent file's target ${target} of ${name}:${port}${protocol === 'any' ? '' : `/${protocol}`} lies among the addresses that this agent itself ` +
          `listens on, from ${formatAddress(base)} to ${formatAddress(base + size - 1)}, and would call itself; ` +
          `give the address of the program, such as 127.0.0.1:${targetPort}, or shift the agent's with --vip-range`,
      );
    }
  }
}

/** Answers true when the agent lost its membership and joined again, false when it was stopped. */
async function runMember(options: AgentOptions, member: Member, signal: AbortSignal): Promise<boolean> {
  const { directory, logger, ready } = options;
  const { agentId } = member.membership;
  const startedMs = Date.now();

  // 1. What was known last, before anything else: names are answered from it, whatever control does.
  const kept = await loadNetmap(directory, agentId, logger);
  const store = new NetmapStore(options.range, kept, kept?.heardMs ?? startedMs);
  /** Ends what takes new flows. */
  const taking = new AbortController();
  /** Ends the rest. */
  const life = new AbortController();
  const ending: Promise<unknown>[] = [];
  try {
    // 2. Names.
    const dns = await openDns(options, store, life.signal);
    ending.push(closing(life.signal, () => dns.close()));

    // 3. The data path.
    const parts = await openDataPath(options, member, store, dns, taking.signal, life.signal);
    ending.push(closing(life.signal, () => parts.tunnels.close()));

    // 4. What the agent says of itself.
    const control: ControlState = { cause: '', revoked: member.membership.revoked };
    const status = (): AgentStatus =>
      describeAgent({
        ...options,
        ...parts,
        gateway: parts.gateway.address,
        member,
        control,
        startedMs,
        version: VERSION,
      });
    await openStatus(directory, status, parts, life.signal);

    // 5. Control.
    const keeper = new NetmapKeeper(directory, agentId, () => keptNetmap(store), logger);
    store.subscribe(() => keeper.changed());
    const linked = followControl({ ...options, ...parts, member, keeper, control }, life.signal);
    ending.push(linked.ended);

    const over = Promise.race([aborted(signal), linked.rejoined]);
    const served = linked.known.then(() => parts.outbound.settled()).then(() => true);
    if (await Promise.race([served, over.then(() => false)])) {
      const sentence = readySentence(parts);
      logger.info({ event: 'ready' }, sentence);
      ready(sentence);
    }
    await over;
    logger.info({ event: 'stopping' }, 'stopping');
    taking.abort();
    parts.registry.cutAll('the agent stops');
    life.abort();
    await Promise.all(ending);
    if (!control.revoked) await keeper.flush();
    return !signal.aborted;
  } finally {
    taking.abort();
    life.abort();
    await Promise.allSettled(ending);
  }
}

/** The parts of a running agent. */
export interface AgentParts {
  readonly store: NetmapStore;
  readonly dns: DnsServer;
  readonly recorder: FlowRecorder;
  readonly problems: ProblemBoard;
  readonly registry: FlowRegistry;
  readonly inbound: Inbound;
  readonly tunnels: BoundTunnels;
  readonly outbound: Outbound;
  readonly gateway: OpenGateway;
  readonly reporter: Reporter;
}

async function openDns(options: AgentOptions, store: NetmapStore, signal: AbortSignal): Promise<DnsServer> {
  try {
    return await createDnsServer({ listen: options.dns, netmap: store, logger: options.logger, signal });
  } catch (cause) {
    // Nothing works without names, and a port that is wrong once is wrong for good: said at once, and not as a problem.
    throw new AgentError('listen-failed', messageOf(cause), { cause });
  }
}

async function openDataPath(
  options: AgentOptions,
  member: Member,
  store: NetmapStore,
  dns: DnsServer,
  taking: AbortSignal,
  life: AbortSignal,
): Promise<AgentParts> {
  const { file, logger, tunnel, advertise, limits = {} } = options;
  const idle = limits.idleMs === undefined ? {} : { idleMs: limits.idleMs };
  const changed: { report: () => void } = { report: () => {} };
  const recorder = new FlowRecorder();
  const problems = new ProblemBoard(logger, () => changed.report());
  // First of the subscribers that let flows through or end them: what lost its permission is cut before anything opens.
  const registry = new FlowRegistry({ netmap: store, sink: recorder });
  const shared = { netmap: store, registry, problems, log: logger };
  const inbound = createInbound({ ...shared, ...idle, services: file.services, signal: life });
  const tunnels = await openTunnels(options, member, store, inbound, life);
  if (!tunnels.datagrams) raiseNoDatagrams(problems, tunnel.host, tunnels.port);
  store.subscribe(() => tunnels.recheckPeers());
  // Which ports this host's own programs hold is known before any is listened on.
  await inbound.start();
  const outbound = createOutbound({ ...shared, ...idle, tunnels, inbound, signal: taking });
  followMismatches(file, store, problems);
  const gateway = openGateway(
    { file, netmap: store, outbound, problems, logger, changed: () => changed.report() },
    taking,
  );
  const reporter = new Reporter(() =>
    makeReport({ inbound, tunnels, registry, problems, gateway: gateway.address, tunnel, advertise }),
  );
  changed.report = () => reporter.changed();
  inbound.onChange(() => reporter.changed());
  const timer = setInterval(() => reporter.changed(), REPORT_INTERVAL_MS);
  life.addEventListener('abort', () => clearInterval(timer), { once: true });
  return { store, dns, recorder, problems, registry, inbound, tunnels, outbound, gateway, reporter };
}

async function openTunnels(
  options: AgentOptions,
  { keys, membership }: Member,
  store: NetmapStore,
  inbound: Inbound,
  signal: AbortSignal,
): Promise<BoundTunnels> {
  const { tunnel, logger, limits } = options;
  try {
    return await createTunnels({
      listen: tunnel,
      keys: keys.tunnel,
      directory: createPeerDirectory(store),
      inbound,
      network: membership.network,
      logger,
      signal,
      ...(limits?.tunnel === undefined ? {} : { settings: limits.tunnel }),
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const where = formatHostPort(tunnel.host, tunnel.port);
    const reason = code === 'EADDRINUSE' ? 'the port is taken' : message;
    throw new AgentError(
      'listen-failed',
      `cannot listen for other agents at ${where}: ${reason}; choose another with --tunnel`,
      {
        cause,
      },
    );
  }
}

function raiseNoDatagrams(problems: ProblemBoard, host: string, port: number): void {
  const subject = `${formatHostPort(host, port)}/udp`;
  const message =
    `the UDP port beside the tunnels' is taken, so UDP goes inside the tunnels, where a lost packet holds up those behind it; ` +
    `free it (see: ss -lnup sport = :${port}) and restart the agent, or choose another with --tunnel`;
  problems.raise({ code: 'tunnel-udp', subject, message });
}

/** `weft status` asks here. An agent that cannot be asked still carries traffic, so this is a problem and no failure. */
async function openStatus(
  directory: string,
  status: () => AgentStatus,
  parts: AgentParts,
  signal: AbortSignal,
): Promise<void> {
  const path = join(directory, 'agent.sock');
  try {
    await serveStatus(path, status, signal);
  } catch (error) {
    const message = `${messageOf(error)}; weft status cannot show this agent`;
    parts.problems.raise({ code: 'status-socket', subject: path, message });
  }
}

function readySentence({ store, dns }: AgentParts): string {
  const { self, services } = store.current;
  const named = [...services.values()].filter(({ service }) => service.kind !== 'worker').length;
  const address = formatHostPort(dns.address.host, dns.address.port);
  return `host ${self?.host ?? ''} in network ${self?.network ?? ''}, ${named} services, dns ${address}`;
}

/** Closes the part when the signal is aborted; resolves when it is closed. */
async function closing(signal: AbortSignal, close: () => Promise<void>): Promise<void> {
  await aborted(signal);
  await close();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
