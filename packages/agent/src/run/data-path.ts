/** The parts of a data path, as the main thread and each worker put them together. */
import { formatHostPort, type HostPort } from '@weft/proto';
import type { Logger } from 'pino';
import type { PortSharing } from '../bytes/port-sharing.ts';
import { AgentError } from '../member/errors.ts';
import { createPeerDirectory } from '../netmap/directory.ts';
import { type BoundTunnels, createTunnels } from '../tunnel/create.ts';
import type { PacketSteering } from '../tunnel/datagram-port.ts';
import type { TunnelSettings } from '../tunnel/settings.ts';
import type { InboundHandler } from '../tunnel/types.ts';
import type { NetmapSource } from '../words/netmap.ts';

/** Times and bounds of the data path where they are not the usual ones. */
export interface DataPathLimits {
  /** A UDP flow without a datagram either way for this long is over, milliseconds. */
  readonly idleMs?: number;
  readonly tunnel?: Partial<TunnelSettings>;
}

export interface TunnelRequest {
  readonly listen: HostPort;
  readonly secretKey: Uint8Array;
  readonly network: string;
  readonly netmap: NetmapSource;
  readonly inbound: InboundHandler;
  readonly logger: Logger;
  readonly settings: Partial<TunnelSettings>;
  /** False when the UDP port is known not to be had. */
  readonly datagrams?: boolean;
  readonly shared?: { readonly share: PortSharing; readonly steering: PacketSteering };
}

/** Listens for other agents, and cuts those that the netmap takes away. Throws AgentError when the port cannot be had. */
export async function openTunnels(request: TunnelRequest, signal: AbortSignal): Promise<BoundTunnels> {
  const { listen, secretKey, netmap, ...rest } = request;
  try {
    const directory = createPeerDirectory(netmap);
    const tunnels = await createTunnels({ ...rest, listen, keys: { secretKey }, directory, signal });
    netmap.subscribe('tunnels', () => tunnels.recheckPeers());
    return tunnels;
  } catch (cause) {
    throw new AgentError(
      'listen-failed',
      `cannot listen for other agents at ${formatHostPort(listen.host, listen.port)}: ${listenFailure(cause)}`,
      { cause },
    );
  }
}

function listenFailure(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOTSUP' || code === 'EINVAL')
    return 'this system does not share a port among threads; start the agent with --workers 1';
  return `${code === 'EADDRINUSE' ? 'the port is taken' : message}; choose another with --tunnel`;
}
