/** One thread's data path, put together the same for the main thread and for each worker. */
import { defined, fileLimit, formatHostPort, type HostPort, portTaker } from '@weft/proto';
import type { Tracer } from '@weft/proto/observe';
import type { Logger } from 'pino';
import { OpenFiles } from '../bytes/open-files.ts';
import { checkThread, type Faults, type Lacks, takeChecked } from '../bytes/thread-checks.ts';
import { BulkWatch } from '../flows/bulk.ts';
import { PacedSink } from '../flows/paced-records.ts';
import type { FlowRecorder } from '../flows/recorder.ts';
import { FlowRegistry } from '../flows/registry.ts';
import { FlowTracer } from '../flows/tracing.ts';
import type { FlowTraffic } from '../flows/traffic.ts';
import type { InboundOptions, InboundPath } from '../inbound/inbound.ts';
import { AgentError } from '../member/errors.ts';
import { createPeerDirectory } from '../netmap/store.ts';
import { ThreadWatch } from '../observe/thread-watch.ts';
import type { ListenerSharing } from '../outbound/bind-shared.ts';
import { createOutbound, type Outbound, type OutboundOptions } from '../outbound/outbound.ts';
import { OwnCallers } from '../outbound/own-callers.ts';
import { Owners } from '../owner/owners.ts';
import { type BoundTunnels, type CreateTunnelsOptions, createTunnels } from '../tunnel/create.ts';
import type { PacketSteering } from '../tunnel/datagram-port.ts';
import { dialBounds } from '../tunnel/dial-bounds.ts';
import { DEFAULT_SETTINGS, type TunnelSettings } from '../tunnel/settings.ts';
import type { InboundHandler } from '../tunnel/types.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { Problems } from '../words/problems.ts';
import type { DataPathCommon } from './options.ts';
import type { PacketWays } from './workers/messages.ts';
import { ThreadSteering } from './workers/packet-steering.ts';
import { shareOf } from './workers/share.ts';

export interface DataPathOptions<Here extends InboundPath> extends DataPathCommon {
  /** This thread among all, from 0; the first is the main thread. */
  readonly thread: number;
  readonly threads: number;
  /** Of this thread, to the others; undefined where it is the only one. */
  readonly packets: PacketWays | undefined;
  readonly netmap: NetmapSource;
  readonly recorder: FlowRecorder;
  readonly traffic: FlowTraffic;
  readonly tracer: Tracer | undefined;
  readonly problems: Problems;
  readonly log: Logger;
  /** How this thread comes to know this host's programs. */
  readonly createInbound: (parts: InboundParts) => Here;
  /** Of an agent that begins a second thread when it needs one; undefined where their number is fixed. */
  readonly beside?: Beside;
  /** Ends what takes new flows. */
  readonly taking: AbortSignal;
  /** Ends the rest. */
  readonly life: AbortSignal;
}

/** Of two threads, of which the first alone accepts. */
export interface Beside {
  /** Whether this one listens. */
  readonly listens: boolean;
  /** Where the first may have its connections taken instead. */
  readonly calls?: OutboundOptions['elsewhere'];
  readonly tunnels?: CreateTunnelsOptions['elsewhere'];
  /** Between the first's port for datagrams, which is the only one, and the second. */
  readonly steering?: DataPathSteering;
  /** Told when another number of flows is bulk. */
  readonly bulkChanged?: () => void;
  /** Who finds callers, in place of a thread of its own. */
  readonly owners?: OutboundOptions['owners'] & OpenPath['owners'];
}

type DataPathSteering = PacketSteering & Pick<ThreadSteering, 'waiting' | 'close'>;

export type InboundParts = Omit<InboundOptions, 'services' | 'signal'>;

export interface DataPath<Here extends InboundPath> {
  /** For the other threads of this process. */
  readonly faults: Faults;
  readonly files: OpenFiles;
  readonly registry: FlowRegistry;
  readonly inbound: Here;
  readonly tunnels: BoundTunnels;
  /** Undefined where nobody asks. */
  readonly bulk: BulkWatch | undefined;
  /** Listens for this host's programs, once it is known which ports they hold themselves. To be called once. */
  open(here: OutboundOptions['inbound'], sharing?: ListenerSharing): OpenPath;
}

export interface OpenPath {
  readonly outbound: Outbound;
  readonly owners: Pick<Owners, 'look' | 'find'>;
  readonly watch: ThreadWatch;
}

/** Takes flows from peers when it resolves. Throws AgentError when the tunnels' port cannot be had. */
export async function openDataPath<Here extends InboundPath>(options: DataPathOptions<Here>): Promise<DataPath<Here>> {
  const { thread, threads, packets, netmap, recorder, traffic, problems, log, limits, taking, life, range } = options;
  const faults = options.faults ?? (await checkThread(options.native));
  if (options.faults === undefined) raiseFaults(problems, faults);
  else raiseLacks(problems, thread, takeChecked(options.native, faults));
  const share = shareOf(thread, threads);
  const sink = new PacedSink(recorder, problems, (service) => netmap.current.services.has(service));
  taking.addEventListener('abort', () => sink.stop(), { once: true });
  const registry = new FlowRegistry({
    netmap,
    sink,
    traffic,
    tracer: options.tracer && new FlowTracer(options.tracer, netmap),
    limit: share.flows,
    peerLimit: share.flowsOfPeer,
  });
  const { beside } = options;
  const bulk = beside && new BulkWatch(registry, life, beside.bulkChanged);
  const files = new OpenFiles(fileLimit(), problems);
  const common = { netmap, registry, problems, log, files, ...defined({ idleMs: limits.idleMs }) };
  const inbound = options.createInbound(common);
  const steering = beside?.steering ?? (packets && new ThreadSteering(thread, packets));
  life.addEventListener('abort', () => steering?.close(), { once: true });
  // Strangers may hold those, for as long as a handshake takes.
  const handshakes = Math.min(DEFAULT_SETTINGS.handshakes, Math.floor(files.usable / 4 / threads));
  const settings = { ...share.tunnel, handshakes, ...limits.tunnel };
  const tunnels = await openTunnels({ ...options, files, bulk }, inbound, settings, steering);
  return {
    faults,
    files,
    registry,
    inbound,
    tunnels,
    bulk,
    open(here, sharing) {
      const owners = beside?.owners ?? new Owners({ problems, log, files, signal: life, native: options.native });
      const outbound = createOutbound({
        ...common,
        tunnels,
        inbound: here,
        signal: taking,
        datagramClients: share.datagramClients,
        mostListeners: files.listeners(threads),
        firstTurn: thread,
        callers: new OwnCallers({ range, problems, log }),
        owners,
        ...defined({ sharing, elsewhere: beside?.calls }),
      });
      const parts = { thread, traffic, registry, tunnels, outbound, recorder, steering };
      return { outbound, owners, watch: new ThreadWatch(parts, options.metrics, life) };
    },
  };
}

function raiseFaults(problems: Problems, { native, inside, cipher }: Faults): void {
  const raise = (subject: string, message: string) => problems.raise({ code: 'node-unknown', subject, message });
  if (native !== undefined) raise('node:ffi', oneByOne(native));
  if (inside !== undefined) raise(process.version, slowly(inside));
  if (cipher !== undefined) raise('OpenSSL', byNode(cipher));
}

/** Of a thread that was told what the first has. */
function raiseLacks(problems: Problems, thread: number, { native, cipher }: Lacks): void {
  const raise = (subject: string, what: string, why: string) =>
    problems.raise({
      code: 'node-unknown',
      subject: `${subject} of thread ${thread}`,
      message: `thread ${thread} of this agent ${what}, slower than the first thread, which can: ${why}; see to what else is told of this host, such as too few files, and restart the agent`,
    });
  if (native !== undefined) raise('node:ffi', 'accepts, sends and receives one by one', native);
  if (cipher !== undefined) raise('OpenSSL', 'seals and opens records by node:crypto', cipher);
}

function slowly(fault: string): string {
  return `this Node moves bytes otherwise than is known here, so its public API is used, which is slower: ${fault}; run the agent on a Node that it names as supported`;
}

function byNode(fault: string): string {
  return `records are sealed and opened by node:crypto, which is slower, for OpenSSL called by node:ffi does otherwise: ${fault}; run the agent with --no-native, or on another Node, and report this`;
}

function oneByOne(fault: string): string {
  return `datagrams go and come one by one, which is slower, for by node:ffi they do not come through as they should: ${fault}; run the agent with --no-native, or on another Node, and report this`;
}

/** Listens for other agents, and cuts those that the netmap takes away. */
async function openTunnels(
  options: Omit<DataPathOptions<InboundPath>, 'createInbound'> & {
    readonly files: OpenFiles;
    readonly bulk: BulkWatch | undefined;
  },
  inbound: InboundHandler,
  settings: Partial<TunnelSettings>,
  steering: DataPathSteering | undefined,
): Promise<BoundTunnels> {
  const { netmap, network, files, datagrams, beside, bulk } = options;
  const listen = options.tunnel;
  const turn = options.thread === 0 ? ('first' as const) : ('join' as const);
  const share = beside === undefined ? turn : undefined;
  try {
    const tunnels = await createTunnels({
      listen,
      keys: { secretKey: options.tunnelSecret },
      network,
      directory: createPeerDirectory(netmap),
      inbound,
      bounds: dialBounds(options.range, options.controls),
      logger: options.log,
      settings,
      files,
      signal: options.life,
      ...defined({ datagrams, shared: steering && { steering, ...defined({ share }) } }),
      ...defined({ listens: beside?.listens, elsewhere: beside?.tunnels, moved: bulk && (() => bulk.look()) }),
    });
    netmap.subscribe('tunnels', () => tunnels.recheckPeers());
    return tunnels;
  } catch (cause) {
    throw new AgentError(
      'listen-failed',
      `cannot listen for other agents at ${formatHostPort(listen.host, listen.port)}: ${listenFailure(listen, cause)}`,
      { cause },
    );
  }
}

function listenFailure(listen: HostPort, cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOTSUP' || code === 'EINVAL')
    return 'this system does not share a port among threads; start the agent with --workers 1';
  if (code !== 'EADDRINUSE') return `${message}; choose another with --tunnel`;
  const taker = portTaker(listen, 'tcp') ?? 'another process';
  return `the port is taken by ${taker}; choose another with --tunnel`;
}
