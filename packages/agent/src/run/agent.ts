/** The agent, put together: what starts in which order, and ends in which. */

import { join } from 'node:path';
import {
  type AddressRange,
  defined,
  formatHostPort,
  formatRange,
  inRange,
  LEAST_FILES,
  messageOf,
  parseAddress,
  requireFiles,
  VERSION,
} from '@weft/proto';
import { keepHouse } from '@weft/proto/house';
import { nativeCipherCause } from '../bytes/cipher-check.ts';
import { dualStackHost } from '../bytes/dual-stack.ts';
import { fullCollector } from '../bytes/inside/collector.ts';
import { wantedMemoryReturner } from '../bytes/inside/memory-returner.ts';
import { nativeCause, startNative } from '../bytes/native-check.ts';
import { type AgentFile, rolesOf } from '../config/agent-file.ts';
import { createDnsServer, type DnsServer, type OutsideNames } from '../dns/index.ts';
import { AgentError } from '../member/errors.ts';
import { takeDirectory } from '../member/lock.ts';
import { KeptMembership, type MembershipRequest, openMembership } from '../member/membership.ts';
import { loadNetmap, NetmapKeeper, netmapPutAway } from '../member/persist.ts';
import { NetmapStore } from '../netmap/store.ts';
import type { AgentMetrics } from '../observe/agent-metrics.ts';
import type { AgentStatus } from '../observe/agent-status.ts';
import { describeAgent } from '../observe/describe.ts';
import { type Answerer, serveStatus } from '../observe/status-socket.ts';
import type { Problems } from '../words/problems.ts';
import { type ControlState, followControl, keptNetmap, placesOfControl } from './control.ts';
import { ENFORCEMENT } from './enforce.ts';
import { explainHere } from './explain-here.ts';
import { FileInForce } from './file-in-force.ts';
import { hostFacts } from './host-facts.ts';
import { hostNames } from './host-names.ts';
import { localAnswerer } from './local-answers.ts';
import { watchLoopbackDoor } from './loopback-door.ts';
import { type MainPath, openMainPath } from './main-path.ts';
import type { AgentOptions } from './options.ts';
import { FileReload } from './reload.ts';
import { openSandboxes } from './sandboxes.ts';
import { watchUpstreams } from './upstreams.ts';
import { requireLocal, watchRange } from './vip-range.ts';

export type { AgentOptions, DataPathLimits } from './options.ts';

/** Of each thread beside the first, before it carries anything. */
const FILES_OF_WORKER = 8;

/** Runs the agent of one directory until the signal is aborted. Throws AgentError or FileLimitError when it cannot start. */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const { directory, token, control, fallbackHost, range, logger, workers = 1 } = options;
  const check = (read: AgentFile) => refuseLoops(read, range);
  check(options.file);
  requireFiles(LEAST_FILES + FILES_OF_WORKER * (workers - 1));
  requireLocal(range);
  const lock = takeDirectory(directory, logger);
  try {
    const file = new FileInForce(options.file);
    const overridden = defined({ 'dns.upstream': options.dnsUpstreams && '--dns-upstream' });
    const reload = new FileReload({ file, source: options.fileSource, check, overridden, logger });
    options.reloadable?.(() => reload.ask());
    const request: MembershipRequest = {
      directory,
      token,
      control,
      fallbackHost,
      // Of the file of now: who joins again may have another than at the start.
      get services() {
        return [...file.services.keys()];
      },
      get roles() {
        return rolesOf(file.current);
      },
      version: VERSION,
      logger,
    };
    const tunnel = { ...options.tunnel, host: await dualStackHost(options.tunnel.host) };
    let again: boolean;
    // A new membership is a new agent: other keys to share with peers, another netmap. All of it starts anew.
    do again = await runMember({ ...options, tunnel }, file, reload, request, signal);
    while (again);
  } catch (error) {
    // Stopped while it was still starting: that is what was asked for.
    if (!signal.aborted) throw error;
  } finally {
    lock.release();
  }
}

/** A call to a target among the VIPs would be taken by this agent, sent to the target again, and so on until no port is left. */
function refuseLoops({ services }: AgentFile, range: AddressRange): void {
  for (const { name, targets } of services.values()) {
    for (const { port, protocol, host, targetPort } of targets) {
      const address = parseAddress(host);
      if (address === undefined || !inRange(address, range)) continue;
      const target = formatHostPort(host, targetPort);
      throw new AgentError(
        'target-loops',
        `the agent file's target ${target} of ${name}:${port}${protocol === 'any' ? '' : `/${protocol}`} lies among the addresses that this agent itself ` +
          `listens on, in ${formatRange(range)}, and would call itself; ` +
          `give the address of the program, such as 127.0.0.1:${targetPort}, or shift the agent's with --vip-range`,
      );
    }
  }
}

/** Answers true when the agent lost its membership and joined again, false when it was stopped. */
async function runMember(
  options: AgentOptions,
  file: FileInForce,
  reload: FileReload,
  request: MembershipRequest,
  signal: AbortSignal,
): Promise<boolean> {
  const { directory, logger, ready, workers: threads = 1 } = options;
  const member = await openMembership(request, signal);
  const { agentId } = member.membership;
  const startedMs = Date.now();

  // 1. What was known last, before anything else: names are answered from it, whatever control does.
  const kept = await loadNetmap(directory, agentId, logger);
  const putAway = kept === undefined && (await netmapPutAway(directory));
  const store = new NetmapStore(options.range, kept, kept?.heardMs ?? startedMs, ENFORCEMENT);
  /** Ends what takes new flows. */
  const taking = new AbortController();
  /** Ends the rest. */
  const life = new AbortController();
  const ending: Promise<unknown>[] = [];
  let stop: (reason: string) => Promise<void> = () => Promise.resolve();
  try {
    // 2. Names.
    const metrics = await prepareMetrics(options);
    // How names are answered, too.
    await startNative(options.native ?? true);
    const dns = await openDns(options, file, store, metrics, life.signal);
    ending.push(closing(life.signal, () => dns.close()));

    // 3. The data path.
    const path = await openMainPath({ ...options, dns: dns.address }, file, member, store, taking.signal, life.signal);
    stop = path.stop;
    watchRange(options.range, path.problems, life.signal);
    watchLoopbackDoor(path.problems, life.signal);
    watchUpstreams(dns, path.problems, life.signal);
    const sandboxes = openSandboxes({ ...options, file, store, dns, path, signal: taking.signal });

    // 4. What the agent says of itself.
    const membership = new KeptMembership(directory, member, logger);
    const control: ControlState = { cause: '', address: '', revoked: member.membership.revoked };
    const status = async (): Promise<AgentStatus> => {
      await path.count();
      return describeAgent({
        ...options,
        ...path,
        store,
        dns,
        port: path.tunnels.port,
        gateway: path.gateway.address,
        member: { keys: member.keys, membership: membership.current },
        control: { ...control, addresses: placesOfControl({ request, member, store, range: options.range }) },
        startedMs,
        version: VERSION,
        sandboxes: sandboxes?.current ?? [],
        callers: path.outlook,
        native: nativeCause(),
        sealing: nativeCipherCause(),
      });
    };
    reload.serve({
      problems: path.problems,
      enforce: async (now) => {
        dns.answerOutside(outsideNames(options, now));
        await path.takeUp(now);
        sandboxes?.follow();
      },
    });
    const seen = () => {
      const { services, watch: targets } = path.inbound;
      return { netmap: store.current, services, targets };
    };
    const answerer = localAnswerer({
      status,
      facts: () => hostFacts({ ...seen(), threads }),
      explain: (asked) =>
        explainHere(
          {
            ...{ ...seen(), ...path, sight: path.outlook.sight, look: (pid) => path.owners.look(pid) },
            sandboxes: sandboxes?.current ?? [],
          },
          asked,
        ),
      store,
      tunnels: path.tunnels,
      reload: () => reload.ask(),
      guard: (question) => path.guard.answer(question),
      openFlows: path.openFlows,
    });
    await openStatus(directory, answerer, path.problems, life.signal);

    let waits: string | undefined = 'it starts';
    const unready = () => (control.revoked ? 'its membership was revoked' : waits);
    if (metrics !== undefined)
      ending.push(closing(life.signal, await openMetrics(options, metrics, store, dns, path, unready)));

    // 5. Control.
    const keeper = new NetmapKeeper({
      directory,
      agentId,
      source: () => keptNetmap(store),
      problems: path.problems,
      signal: life.signal,
    });
    const followName = hostNames({ kept: membership, recorder: path.recorder, logger });
    followName(store.current);
    store.subscribe('kept', (next) => {
      keeper.changed();
      followName(next);
    });
    const linked = followControl(
      { ...path, range: options.range, request, store, member, membership, keeper, putAway, control, logger },
      life.signal,
    );
    ending.push(linked.ended);

    const over = Promise.race([aborted(signal), linked.rejoined, path.failed]);
    const served = linked.known.then(() => path.settled()).then(() => true);
    if (await Promise.race([served, over.then(() => false)])) {
      const sentence = readySentence(store, dns);
      logger.info({ event: 'ready' }, sentence);
      waits = undefined;
      ready(sentence);
      const alone = () => threads === 1 && (path.second()?.state ?? 'off') === 'off';
      keepHouse(life.signal, { alone, collect: fullCollector(), memory: wantedMemoryReturner() });
    }
    await over;
    waits = 'it stops';
    await path.count();
    logger.info({ event: 'stopping', flows: path.totals.flows }, 'stopping');
    const { drainMs = 0, hurry } = options;
    if (signal.aborted) await Promise.race([path.leave(drainMs), path.failed, ...(hurry ? [aborted(hurry)] : [])]);
    await path.count();
    const cut = path.totals.flows;
    reload.end();
    taking.abort();
    path.left();
    await stop('the agent stops');
    life.abort();
    await Promise.all(ending);
    if (!control.revoked) await keeper.flush();
    logger.info({ event: 'stopped', cut }, `stopped; open flows that were cut: ${cut}`);
    return !signal.aborted;
  } finally {
    reload.end();
    taking.abort();
    await stop('the agent stops');
    life.abort();
    await Promise.allSettled(ending);
  }
}

/** Its code takes memory, and most agents are not scraped. */
async function prepareMetrics({ metrics }: AgentOptions): Promise<AgentMetrics | undefined> {
  if (metrics === undefined) return undefined;
  const loaded = await import('../observe/agent-metrics.ts');
  return new loaded.AgentMetrics();
}

/** Answers with what ends it. Throws AgentError. */
async function openMetrics(
  { metrics: address, logger }: AgentOptions,
  metrics: AgentMetrics,
  store: NetmapStore,
  dns: DnsServer,
  path: MainPath,
  unready: () => string | undefined,
): Promise<() => Promise<void>> {
  if (address === undefined) return () => Promise.resolve();
  const enforced = { revision: store.current.revision, sinceMs: performance.now() };
  store.subscribe('measured', ({ revision }) => {
    if (revision !== enforced.revision) Object.assign(enforced, { revision, sinceMs: performance.now() });
  });
  const { serveAgentMetrics } = await import('../observe/serve-metrics.ts');
  const measured = async () =>
    metrics.text({
      threads: await path.measures(),
      dns: dns.counters,
      problems: path.problems.current,
      revision: enforced.revision,
      revisionSeconds: (performance.now() - enforced.sinceMs) / 1_000,
      staleSeconds: store.staleSinceMs === undefined ? 0 : Math.max(0.001, (Date.now() - store.staleSinceMs) / 1_000),
      records: path.recorder.counters,
      version: VERSION,
      network: store.current.self?.network ?? '',
      host: store.current.self?.host ?? '',
    });
  const server = await serveAgentMetrics(address, measured, unready, logger);
  return () => server.close();
}

/** An option goes before what the file says. */
function outsideNames({ dnsUpstreams }: AgentOptions, { dns }: AgentFile): OutsideNames {
  return defined({ upstreams: dnsUpstreams ?? dns?.upstream, private: dns?.private });
}

async function openDns(
  options: AgentOptions,
  file: FileInForce,
  store: NetmapStore,
  metrics: AgentMetrics | undefined,
  signal: AbortSignal,
): Promise<DnsServer> {
  try {
    return await createDnsServer({
      listen: options.dns,
      netmap: store,
      range: options.range,
      ...outsideNames(options, file.current),
      latency: metrics?.dnsLatency,
      logger: options.logger,
      signal,
    });
  } catch (cause) {
    // Nothing works without names, and a port that is wrong once is wrong for good: said at once, and not as a problem.
    throw new AgentError('listen-failed', messageOf(cause), { cause });
  }
}

const STATUS_RETRY_MS = 10_000;

/**
 * `weft status` asks here. An agent that cannot be asked still carries traffic, so this is a problem and no failure, and is tried
 * again.
 */
async function openStatus(
  directory: string,
  answerer: Answerer,
  problems: Problems,
  signal: AbortSignal,
): Promise<void> {
  const path = join(directory, 'agent.sock');
  try {
    await serveStatus(path, answerer, signal);
    problems.clear('status-socket', path);
  } catch (error) {
    if (signal.aborted) return;
    const message = `${messageOf(error)}; weft status cannot show this agent`;
    problems.raise({ code: 'status-socket', subject: path, message });
    setTimeout(() => void openStatus(directory, answerer, problems, signal), STATUS_RETRY_MS).unref();
  }
}

function readySentence(store: NetmapStore, dns: DnsServer): string {
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
