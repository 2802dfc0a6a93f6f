/** What every tunnel of this agent shares. */
import type { HostPort } from '@weft/proto';
import type { LineLimit } from '@weft/proto/bounds';
import type { Logger } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import type { OpenFiles } from '../bytes/open-files.ts';
import type { YoungGeneration } from '../bytes/young-generation.ts';
import type { CipherName } from '../protocol/noise/cipher.ts';
import type { KeyPair, KeyPairGenerator } from '../protocol/noise/keys.ts';
import type { InPlace } from '../protocol/record/in-place.ts';
import type { WireConduit } from '../words/conduit.ts';
import type { PeerDirectory } from '../words/peer.ts';
import type { DatagramAddress, DatagramPort } from './datagram-port.ts';
import type { LimitedLog } from './limited-log.ts';
import type { TunnelSettings } from './settings.ts';
import type { InboundHandler, TunnelCounters } from './types.ts';

export interface LinkCounters extends TunnelCounters {
  /** Handshakes finished inside tunnels. */
  renewals: number;
}

export function sumOfCounters(left: LinkCounters, right: LinkCounters): LinkCounters {
  const sum = { ...left };
  for (const name of Object.keys(sum) as (keyof LinkCounters)[]) sum[name] += right[name];
  return sum;
}

export function newCounters(): LinkCounters {
  return {
    open: 0,
    handshakesFailed: 0,
    violations: 0,
    datagramsDropped: 0,
    bytesSent: 0,
    bytesReceived: 0,
    renewals: 0,
  };
}

/** Makes what a tunnel to this endpoint is to run over. Rejects with the system's error, or the deadline's reason. */
export type Connect = (
  endpoint: HostPort,
  deadline: Deadline,
) => Promise<{ readonly conduit: WireConduit; readonly remote: DatagramAddress }>;

export interface TunnelContext {
  readonly network: string;
  readonly keys: KeyPair;
  readonly newEphemeral: KeyPairGenerator;
  readonly cipher: CipherName;
  readonly directory: PeerDirectory;
  readonly inbound: InboundHandler;
  readonly connect: Connect;
  /** Undefined when the UDP port could not be had: datagrams then go inside tunnels. */
  readonly datagrams: DatagramPort | undefined;
  /** Undefined where connections are bounded by their number alone. */
  readonly files: OpenFiles | undefined;
  readonly counters: LinkCounters;
  readonly limitedLog: LimitedLog;
  /** Of what is in order, by what it is and the peer. */
  readonly lines: LineLimit;
  /** Of the heap that the buffers of all tunnels lie in. */
  readonly young: YoungGeneration;
  /** For tunnels that begin now. Undefined where records are sealed and opened by node:crypto. */
  readonly inPlace: InPlace | undefined;
  readonly logger: Logger;
  readonly settings: TunnelSettings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}
