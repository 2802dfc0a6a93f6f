/** The main thread's data path, and the workers beside it when there are any. */
import { defined, formatHostPort, fullMessageOf, type OpenFlows, type OpenFlowsQuestion } from '@weft/proto';
import { cutAtEnd } from '../bytes/end-at-once.ts';
import { passingCause } from '../bytes/inside/pass-sockets.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import { isAllowed } from '../config/agent-file.ts';
import { localSpeech, tellingsHere, toldOf } from '../flows/judge.ts';
import { mergeOpenFlows, openFlowsByNamesOfNow } from '../flows/open-flows.ts';
import { FlowRecorder } from '../flows/recorder.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { Exposure, type HostExposure } from '../inbound/exposure.ts';
import { createInbound, type Inbound } from '../inbound/inbound.ts';
import { ListenerReader } from '../inbound/listener-reader.ts';
import { ProgramsWatch } from '../inbound/programs-watch.ts';
import { SixOnly } from '../inbound/six-only.ts';
import { ReportSender } from '../link/report-sender.ts';
import type { Enrolment } from '../member/membership.ts';
import { openSeenWildcards } from '../member/wildcards-file.ts';
import type { NetmapStore } from '../netmap/store.ts';
import type { AgentStatus } from '../observe/agent-status.ts';
import { type AgentTotals, makeReport } from '../observe/describe.ts';
import type { ThreadMeasures } from '../observe/measures.ts';
import { followMismatches } from '../observe/mismatch.ts';
import { ProblemBoard, ProblemSources } from '../observe/problems.ts';
import { AgentTelemetry, TELEMETRY_SETTINGS } from '../observe/telemetry.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { type Outlook, outlookHere } from '../owner/outlook.ts';
import { InsidePrograms } from '../sandbox/inside.ts';
import type { BoundTunnels } from '../tunnel/create.ts';
import { type Problems, passing } from '../words/problems.ts';
import { type OpenPath, openDataPath } from './data-path.ts';
import { followAdvertised, followEndpoints } from './endpoints.ts';
import type { FileInForce } from './file-in-force.ts';
import { GatewayPlace, type OpenGateway } from './gateway.ts';
import { HostGuard } from './host-guard.ts';
import { Leaving, untilQuiet } from './leaving.ts';
import type { AgentOptions } from './options.ts';
import { type Bound, isOwn, ownListeners } from './own-listeners.ts';
import type { Reloadable } from './reload.ts';
import { createPacketWays } from './workers/packet-steering.ts';
import { PastThreads } from './workers/past.ts';
import { WorkerPool } from './workers/pool.ts';
import { SecondThread } from './workers/second-thread.ts';
import { totalsOf } from './workers/totals.ts';
import { tellUnbundled } from './workers/worker-handle.ts';

const RECORDS_LOST = {
  code: 'flows-lost',
  subject: 'agent',
  message:
    'flows end faster than control takes their records, or it is away: the oldest are lost, and counted (weft status tells how many); ' +
    'the flows themselves are carried; see to control, or to the program that makes so many',
} as const;

/** A running data path, of all threads together. */
export interface MainPath {
  readonly recorder: FlowRecorder;
  readonly telemetry: AgentTelemetry;
  readonly problems: Problems;
  readonly inbound: Inbound;
  readonly guard: HostGuard;
  readonly exposed: () => HostExposure;
  readonly tunnels: BoundTunnels;
  readonly totals: AgentTotals;
  readonly gateway: OpenGateway;
  readonly reporter: ReportSender;
  readonly files: OpenFiles;
  /** What it can know of who calls. */
  readonly outlook: Outlook;
  readonly owners: OpenPath['owners'];
  /** Of the thread that is begun when it is needed; undefined where their number is fixed, or no connection can be passed to one. */
  readonly second: () => AgentStatus['second'];
  /** What programs in sandboxes call by, and what they speak as. */
  readonly side: Outbound['side'];
  /** Programs in sandboxes that serve. */
  readonly programsInside: InsidePrograms;
  /** Resolves when all threads go by the services of the file in force as they are now. */
  readonly servicesChanged: () => Promise<void>;
  /** Control sees this agent there. */
  readonly seen: (observedHost: string) => void;
  /** Of all threads, the main one first. */
  measures(): Promise<readonly ThreadMeasures[]>;
  /** Of all threads. */
  openFlows(asked: OpenFlowsQuestion): Promise<OpenFlows>;
  /** Resolves when the totals are those of now. */
  count(): Promise<void>;
  /** Resolves when every listener that the netmap of now wants is listened on, or could not be. */
  settled(): Promise<void>;
  /** Resolves when what changed in the agent file is enforced by all threads, and listened on or could not be. */
  readonly takeUp: Reloadable['enforce'];
  /** Rejects with AgentError when a worker ends unasked. */
  readonly failed: Promise<never>;
  /**
   * Leaves peers' calls to other instances where there are any, and tells control so. Resolves when no flow is open any more, or after
   * this time; then the caller stops it.
   */
  leave(withinMs: number): Promise<void>;
  /** Tells control that nothing is served here any more. */
  left(): void;
  /** Cuts every flow and closes every tunnel; resolves when the workers have handed over their records. */
  stop(reason: string): Promise<void>;
}

/** Counters and addresses of interfaces change without anybody telling; the report is looked at this often. */
const REPORT_INTERVAL_MS = 10_000;

/** `taking` ends what takes new flows; `life` the rest. Throws AgentError. */
export async function openMainPath(
  options: AgentOptions,
  file: FileInForce,
  member: Enrolment,
  store: NetmapStore,
  taking: AbortSignal,
  life: AbortSignal,
): Promise<MainPath> {
  const { directory, range, logger, tunnel, advertise, limits = {}, workers, native = true } = options;
  const threads = workers ?? 1;
  const { network, controlAddresses: controls } = member.membership;
  const { services } = file;
  const changed: { report: () => void } = { report: () => {} };
  const board = new ProblemBoard(logger, () => changed.report());
  const sources = new ProblemSources(board);
  const problems = sources.of(0);
  const recorder = new FlowRecorder(defined({ zone: file.current.zone, lost: passing(problems, RECORDS_LOST) }));
  const metrics = options.metrics !== undefined;
  const traffic = new FlowTraffic({ metrics });
  const packetWays = threads === 1 ? undefined : createPacketWays(threads);
  const sixOnly = new SixOnly();
  const outlook = await outlookHere(native);
  const { sight } = outlook;
  const wildcards = await openSeenWildcards(directory, logger);
  const guard = await HostGuard.open({ directory, range, problems, logger, signal: life });
  const exposure = new Exposure(problems, {
    closed: (place) => guard.isClosed(place),
    allowed: (protocol, port) => isAllowed(file.current, protocol, port),
    before: guard.before,
  });
  guard.follow(() => exposure.toClose);
  const tunnelSecret = member.keys.tunnel.secretKey;
  const common = { network, range, controls, tunnelSecret, limits, metrics, native };
  const bound: Bound = {};
  const listenerReader = new ListenerReader({
    own: () => isOwn(ownListeners(options, bound), range),
    ...{ native, log: logger, signal: life },
  });
  const inside = new InsidePrograms();
  const sandboxes = () => inside.called;
  const second =
    workers === undefined && passingCause() === ''
      ? new SecondThread({ directory, sandboxes, log: logger, signal: taking, times: limits.second })
      : undefined;
  inside.onChange(() => second?.look());
  const path = await openDataPath({
    ...common,
    recorder,
    traffic,
    thread: 0,
    threads,
    packets: packetWays?.[0],
    netmap: store,
    tracer: options.tracer,
    problems,
    log: logger,
    tunnel,
    createInbound: (parts) =>
      createInbound({
        ...parts,
        services,
        wildcards,
        exposure,
        inside,
        signal: life,
        readTable: async (used) => {
          const table = await listenerReader.read();
          return table && sixOnly.marked(table, used);
        },
      }),
    taking,
    life,
    ...defined({ beside: second?.beside }),
  });
  const { registry, inbound, tunnels } = path;
  bound.tunnels = tunnels;
  if (!tunnels.datagrams) raiseNoDatagrams(problems, tunnel.host, tunnels.port);
  const pool =
    packetWays === undefined && second === undefined
      ? undefined
      : new WorkerPool({
          common: {
            ...common,
            services,
            tunnel: { host: tunnel.host, port: tunnels.port },
            datagrams: tunnels.datagrams,
            faults: path.faults,
            logLevel: logger.level,
          },
          packetWays,
          store,
          recorder,
          traffic,
          problems: sources,
          find: (caller) => owners.find(caller),
        });
  if (pool !== undefined) tellUnbundled(logger);
  if (pool !== undefined) second?.follow({ pool, tunnels, files: path.files, bulk: path.bulk });
  const stop = async (reason: string) => {
    try {
      registry.stop(reason);
    } finally {
      // At once, so that no peer opens another flow behind the cut.
      await Promise.all([tunnels.close(), pool?.stop(reason)]);
    }
  };
  cutAtEnd(() => registry.stop('the agent ended at once'), life);
  try {
    // Which ports this host's own programs hold is known before any is listened on.
    await Promise.all([inbound.watch.start(), pool?.ready()]);
    if (pool !== undefined) {
      const tell = () => pool.targets(inbound.watch);
      inbound.watch.onChange(tell);
      tell();
    }
  } catch (error) {
    await stop('the agent could not start');
    throw error;
  }
  const programs = new ProgramsWatch({
    netmap: store,
    services,
    table: () => inbound.watch.table,
    found: (found) => exposure.found(found),
    problems,
    log: logger,
    signal: life,
  });
  programs.start();
  const exposed = () => ({ places: exposure.places, hidden: programs.hidden });
  const { outbound, owners, watch } = path.open(inbound, packetWays && pool && { share: 'first', followers: pool });
  // What is new is bound bit by bit behind the steps, and not enforced before. Asked in the next turn: steps come after followers.
  store.follow(() => Promise.resolve().then(() => outbound.settled()));
  followMismatches(file, store, problems, sight);
  const gateway = new GatewayPlace(
    { netmap: store, outbound, problems, files: path.files, logger, changed: () => changed.report() },
    taking,
  );
  void gateway.listen(file.current.gateway?.http);
  bound.gateway = gateway;
  const telemetry = new AgentTelemetry({
    traffic,
    names: recorder,
    host: () => store.current.self?.host ?? '',
    queued: () => recorder.counters.queued + recorder.counters.unanswered,
    lost: () => recorder.counters.dropped,
    pulses: async () => [watch.pulse(), ...((await pool?.pulses()) ?? [])],
    settings: options.telemetry ?? TELEMETRY_SETTINGS,
    now: Date.now,
    random: Math.random,
  });
  const totals = totalsOf(
    { registry, tunnels, recorder, outbound },
    () => pool?.numbers ?? [],
    pool?.past ?? new PastThreads(),
  );
  const listeners = path.files.listeners(threads);
  let leaving: Leaving | 'left' | undefined;
  const reports = () => {
    const now = inbound.watch.report();
    if (leaving === 'left') return now.map((each) => ({ ...each, healthy: false }));
    return leaving?.reports(now, store.current) ?? now;
  };
  const watched = { watch: { report: reports } };
  const described = { inbound: watched, totals, problems, tunnel, advertise, listeners };
  const reporter = new ReportSender(() => {
    const toldApart = toldOf(tellingsHere(store.current, services, sight));
    const othersAsHost = localSpeech(store.current, services).unknown.type === 'host';
    const triedByPeers = file.current.exposure?.triedByPeers === true;
    const told = { toldApart, othersAsHost, exposed, triedByPeers, outlook, sandboxes: inside.reported };
    return makeReport({ ...described, ...told, port: tunnels.port, gateway: gateway.address });
  });
  changed.report = () => reporter.changed();
  inbound.watch.onChange(() => reporter.changed());
  inside.onChange(() => reporter.changed());
  const report = () => {
    if (advertise === undefined) followEndpoints(problems, tunnel.host, tunnels.port);
    reporter.changed();
  };
  report();
  const timer = setInterval(report, REPORT_INTERVAL_MS);
  life.addEventListener('abort', () => clearInterval(timer), { once: true });
  const settled = async () => {
    await outbound.settled();
    await pool?.settled();
  };
  const servicesChanged = async () => {
    await Promise.all([pool?.services(services), store.enforceAgain()]);
    await inbound.watch.refresh();
    reporter.changed();
  };
  const takeUp: Reloadable['enforce'] = async (now) => {
    recorder.zone = now.zone;
    // All of it is tried: what fails is no reason to leave the rest as it was.
    const steps = [() => pool?.services(services), () => store.enforceAgain(), () => gateway.listen(now.gateway?.http)];
    const taken = await Promise.allSettled(steps.map(async (step) => await step()));
    await inbound.watch.refresh();
    await settled();
    const failures = taken.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(fullMessageOf).join('; '));
  };
  return {
    recorder,
    problems,
    inbound,
    guard,
    exposed,
    tunnels,
    totals,
    gateway,
    reporter,
    seen: (observedHost) => followAdvertised(problems, advertise, observedHost),
    telemetry,
    files: path.files,
    ...{ outlook, owners },
    second: () => second?.status,
    side: (speakers) => outbound.side(speakers),
    programsInside: inside,
    servicesChanged,
    measures: async () => [watch.measures(), ...((await pool?.measures()) ?? [])],
    openFlows: (question) =>
      openFlowsByNamesOfNow(recorder, question, async (asked) =>
        mergeOpenFlows([registry.openFlows(asked), ...((await pool?.openFlows(asked)) ?? [])], asked.most),
      ),
    count: async () => pool?.count(),
    settled,
    takeUp,
    leave: async (withinMs) => {
      leaving = new Leaving();
      reporter.now();
      // An instance that another one was left to may end as well.
      store.follow(async () => reporter.changed());
      let refusing: boolean = false;
      const open = async () => {
        // Peers that hear of it go elsewhere, and who comes still means this host, or has no other.
        const unheard = store.staleSinceMs !== undefined;
        if (unheard !== refusing) {
          registry.leave(unheard);
          pool?.leave(unheard);
          refusing = unheard;
        }
        await pool?.count();
        return totals.flows;
      };
      await untilQuiet(open, withinMs);
    },
    left: () => {
      leaving = 'left';
      reporter.now();
    },
    failed: pool?.failed ?? new Promise<never>(() => {}),
    stop,
  };
}

function raiseNoDatagrams(problems: Problems, host: string, port: number): void {
  const subject = `${formatHostPort(host, port)}/udp`;
  const message =
    `the UDP port beside the tunnels' is taken, so UDP goes inside the tunnels, where a lost packet holds up those behind it; ` +
    `free it (see: ss -lnup sport = :${port}) and restart the agent, or choose another with --tunnel`;
  problems.raise({ code: 'tunnel-udp', subject, message });
}
