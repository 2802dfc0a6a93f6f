/** Puts the tunnel layer together and binds its TCP and UDP port. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { defined, isIP, type PeerTunnels } from '@weft/proto';
import { LineLimit } from '@weft/proto/bounds';
import type { Logger } from 'pino';
import { watchAddresses } from '../bytes/address-watch.ts';
import { youngCollector } from '../bytes/inside/collector.ts';
import { nativeCipher } from '../bytes/inside/known.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { PortSharing } from '../bytes/port-sharing.ts';
import { connectSocket } from '../bytes/socket.ts';
import type { ConduitListener, ListenOptions, Remote } from '../bytes/socket-listen.ts';
import { YoungGeneration } from '../bytes/young-generation.ts';
import type { CipherName } from '../protocol/noise/cipher.ts';
import { keyPairFromSecret } from '../protocol/noise/keys.ts';
import { loadSmallCipher } from '../protocol/noise/small-cipher.ts';
import { InPlace } from '../protocol/record/in-place.ts';
import type { WireConduit } from '../words/conduit.ts';
import type { PeerDirectory } from '../words/peer.ts';
import { Acceptor, listenFor } from './acceptor.ts';
import { type Connect, type LinkCounters, newCounters, type TunnelContext } from './context.ts';
import { DatagramPort, type PacketSteering } from './datagram-port.ts';
import type { DialBounds } from './dial-bounds.ts';
import { localEndpoints } from './endpoints.ts';
import { UnreachableError } from './errors.ts';
import { LimitedLog } from './limited-log.ts';
import { DEFAULT_SETTINGS, type TunnelSettings } from './settings.ts';
import { AgentTunnels } from './tunnels.ts';
import type { InboundHandler, Tunnels, UnreachedPeer } from './types.ts';

export interface CreateTunnelsOptions {
  /** Address of the TCP listener, and of the UDP socket beside it; port 0 lets the system choose one for both. */
  readonly listen: { readonly host: string; readonly port: number };
  /** X25519 secret of this agent, 32 bytes. */
  readonly keys: { readonly secretKey: Uint8Array };
  readonly directory: PeerDirectory;
  readonly inbound: InboundHandler;
  readonly network: string;
  readonly logger: Logger;
  /** Ends every tunnel. */
  readonly signal: AbortSignal;
  readonly random?: (size: number) => Buffer;
  readonly settings?: Partial<TunnelSettings>;
  readonly files?: OpenFiles;
  /** False keeps datagrams inside tunnels. */
  readonly datagrams?: boolean;
  /** False where connections are accepted by another thread alone. */
  readonly listens?: boolean;
  /** Where connections may be taken instead. */
  readonly elsewhere?: ListenOptions['elsewhere'];
  /** Told each few MiB that were sealed or opened. */
  readonly moved?: () => void;
  /** Of several threads: whose turn this is, where each listens on the same ports, and how packets get to their thread. */
  readonly shared?: { readonly share?: PortSharing; readonly steering: PacketSteering };
  /** What may be dialled; everything when not given. */
  readonly bounds?: DialBounds;
  /** In place of a TCP connection, such as a stream of another tunnel. */
  readonly connect?: Connect;
  /** For connections made here; the other side of a connection follows. */
  readonly cipher?: CipherName;
  /** In place of what this thread has found of itself. */
  readonly inPlace?: InPlace;
}

export interface BoundTunnels extends Tunnels {
  readonly counters: LinkCounters;
  /** What passes between this agent and each peer that there was a tunnel to. */
  peerTraffic(): readonly PeerTunnels[];
  /** Peers that were dialled in vain. */
  unreached(): readonly UnreachedPeer[];
  /** A peer calls by another way than the bound port. */
  accept(conduit: WireConduit, remote: Remote): void;
  /** See AgentTunnels. */
  leave(forGood: boolean): void;
  /** Bound port, TCP and UDP. */
  readonly port: number;
  /** False when the UDP port could not be had and datagrams go inside tunnels. */
  readonly datagrams: boolean;
  /** HOST:PORT where peers may try this agent. */
  readonly endpoints: readonly string[];
}

/** With port 0 another program may hold the UDP port of the same number: then another is tried. */
const PORT_TRIES = 8;

/** Rejects with the system's error when the TCP port cannot be had. */
export async function createTunnels(options: CreateTunnelsOptions): Promise<BoundTunnels> {
  const { listen, logger, signal } = options;
  await loadSmallCipher();
  signal.throwIfAborted();
  const random = options.random ?? randomBytes;
  const counters = newCounters();
  const target: { acceptor: Acceptor | undefined } = { acceptor: undefined };
  const { listener, datagrams } = await bind(options, random, counters, () => target.acceptor);
  if (signal.aborted) {
    listener.close();
    datagrams?.close();
    signal.throwIfAborted();
  }
  const now = () => performance.now();
  const cipher = nativeCipher();
  const inPlace = cipher && new InPlace(cipher.newKey);
  const context: TunnelContext = {
    network: options.network,
    keys: keyPairFromSecret(options.keys.secretKey),
    newEphemeral: () => keyPairFromSecret(random(32)),
    cipher: options.cipher ?? preferredCipher(),
    directory: options.directory,
    inbound: options.inbound,
    connect: options.connect ?? connectWithin(options),
    datagrams,
    files: options.files,
    counters,
    limitedLog: new LimitedLog(logger, now),
    lines: new LineLimit(now),
    young: new YoungGeneration(youngCollector(), options.moved),
    get inPlace() {
      return options.inPlace ?? (nativeCipher() === undefined ? undefined : inPlace);
    },
    logger,
    settings: { ...DEFAULT_SETTINGS, ...options.settings },
    now,
  };
  const tunnels = new AgentTunnels(context);
  const acceptor = new Acceptor(context, tunnels, tunnels.lifetime, listener);
  tunnels.acceptWith(acceptor);
  target.acceptor = acceptor;
  signal.addEventListener('abort', () => void tunnels.close(), { once: true });
  watchAddresses((gone) => tunnels.lostAddresses(gone), signal);
  return Object.assign(tunnels, {
    accept: (conduit: WireConduit, remote: Remote) => acceptor.connection(conduit, remote),
    port: listener.port,
    datagrams: datagrams !== undefined,
    endpoints: localEndpoints(listen.host, listener.port),
  });
}

function connectWithin({ bounds, files }: Pick<CreateTunnelsOptions, 'bounds' | 'files'>): Connect {
  const forTunnels = files && { spares: (descriptor: number | undefined) => files.sparesTunnel(descriptor) };
  return (endpoint, deadline) => {
    if (bounds !== undefined && isIP(endpoint.host) > 0 && !bounds.permits(endpoint.host))
      throw new UnreachableError('no-endpoint', `${endpoint.host} is no address that a peer may have`);
    const settings = { boundsUnsent: true, ...defined({ lookup: bounds?.lookup, files: forTunnels }) };
    return connectSocket({ ...endpoint, deadline, ...settings });
  };
}

async function bind(
  options: CreateTunnelsOptions,
  random: (size: number) => Buffer,
  counters: LinkCounters,
  acceptor: () => Acceptor | undefined,
): Promise<{ listener: ConduitListener; datagrams: DatagramPort | undefined }> {
  const { listen, logger, shared, elsewhere } = options;
  const dropped = (): void => {
    counters.datagramsDropped += 1;
  };
  if (options.listens === false) {
    const listener = { address: listen.host, port: listen.port, close: () => {} };
    const without = options.datagrams === false || shared === undefined;
    return {
      listener,
      datagrams: without ? undefined : DatagramPort.ofFirst(listen.host, shared.steering, random, dropped),
    };
  }
  const sharing = defined({ share: shared?.share });
  const onError = (err: Error): void => logger.warn({ event: 'tunnel-accept-failed', err }, 'accepting failed');
  for (let attempt = 1; ; attempt++) {
    const listener = await listenFor(acceptor, { ...listen, ...sharing, elsewhere, boundsUnsent: true }, onError);
    if (options.datagrams === false) return { listener, datagrams: undefined };
    try {
      const at = { host: listen.host, port: listener.port, ...shared };
      const datagrams = await DatagramPort.bind(at, random, dropped);
      return { listener, datagrams };
    } catch (err) {
      // The first thread has the port: sessions of this one would be without datagrams while its peers send them.
      if (shared?.share === 'join') {
        listener.close();
        throw err;
      }
      if (listen.port === 0 && attempt < PORT_TRIES) {
        listener.close();
        continue;
      }
      logger.warn(
        { event: 'tunnel-udp-unavailable', port: listener.port, err },
        'the UDP port is taken: datagrams go inside tunnels',
      );
      return { listener, datagrams: undefined };
    }
  }
}

/** AES-GCM where the CPU does AES; without it ChaChaPoly is several times quicker, and gives no timing away. */
function preferredCipher(): CipherName {
  try {
    const flags = readFileSync('/proc/cpuinfo', 'utf8');
    return /^(flags|Features)\s*:.*\baes\b/m.test(flags) ? 'AESGCM' : 'ChaChaPoly';
  } catch {
    // Not Linux: every machine Node supports there has it.
    return 'AESGCM';
  }
}
