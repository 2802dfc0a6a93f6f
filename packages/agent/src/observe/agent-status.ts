/** What an agent says of itself on its status socket: `weft status` reads it, and any program may. */

import type { FlowRecord, InstanceReport, PeerTunnels, Problem, Protocol } from '@weft/proto';
import type { ExposedPlace } from '../inbound/exposure.ts';
import type { Outlook } from '../owner/outlook.ts';
import type { SandboxStatus } from '../sandbox/sandboxes.ts';

export interface AgentStatus {
  readonly version: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedMs: number;
  readonly network: string;
  readonly host: string;
  readonly agentId: string;
  /** Digest of the tunnel key, for comparing by eye with what control lists. */
  readonly fingerprint: string;
  /** `revoked`: control took the membership back. */
  readonly state: 'connected' | 'stale' | 'revoked';
  /** Since when control was not heard, ISO 8601; null while it is. */
  readonly staleSince: string | null;
  readonly control: {
    /** HOST:PORT where it was heard last; empty when not since the agent's start. */
    readonly address: string;
    readonly addresses: readonly string[];
    /** Why it is not heard; empty while it is, or when it is not known. */
    readonly cause: string;
  };
  /** Revision that is enforced. */
  readonly revision: number;
  /** HOST:PORT of the DNS server. */
  readonly dns: string;
  /** Names that are served, and where they lead. */
  readonly names: readonly NameStatus[];
  /** Services that run here. */
  readonly instances: readonly InstanceReport[];
  /** Where the agent file says that declared ports of theirs are served, when not at the port itself. */
  readonly targets: readonly TargetStatus[];
  readonly listeners: {
    /** Ports of VIPs that are open. */
    readonly ports: number;
  };
  readonly tunnel: {
    /** HOST:PORT listened on. */
    readonly address: string;
    /** HOST:PORT told to peers. */
    readonly endpoints: readonly string[];
    readonly open: number;
    readonly handshakesFailed: number;
    readonly violations: number;
    readonly datagramsDropped: number;
    readonly bytesSent: number;
    readonly bytesReceived: number;
    /** To whom, those with the most tunnels first. */
    readonly peers: readonly PeerTunnels[];
    /** Those that were tried in vain within the last ten minutes, and not reached since. An agent of before does not tell. */
    readonly unreachable?: readonly UnreachableStatus[];
  };
  /** Gateway's listening address; empty when it is none. */
  readonly gateway: string;
  readonly flows: {
    readonly open: number;
    readonly recorded: number;
    readonly dropped: number;
    /** The last ended, oldest first. */
    readonly recent: readonly FlowRecord[];
  };
  /** Threads that carry flows, the main one first; what those that ended have carried is in the numbers above alone. */
  readonly workers: readonly WorkerStatus[];
  /** Programs that are shut in here (`weft run`). An agent of before does not tell. */
  readonly sandboxes?: readonly SandboxStatus[];
  /** What it can know of who calls. An agent of before does not tell. */
  readonly callers?: Outlook;
  /**
   * Of the thread beside the first that takes new connections while bulk moves; left out where the number of threads is fixed. The cause
   * is what stands against it: why the last could not begin, or, while bulk moves, that a program in a sandbox is called; empty where nothing does.
   */
  readonly second?: { readonly state: SecondThreadState; readonly cause: string };
  /** Whether many datagrams go and come by one call of the system, and why not; empty where they do. An agent of before does not tell. */
  readonly native?: { readonly used: boolean; readonly cause: string };
  /** Whether bulk is sealed in place, and why not; empty where it is. An agent of before does not tell. */
  readonly sealing?: { readonly inPlace: boolean; readonly cause: string };
  readonly problems: readonly Problem[];
  /** What others reach of services' programs here past Weft, closed by the guard or not. An agent of before does not tell. */
  readonly exposed?: readonly ExposedPlace[];
  /** Sockets that listen beyond loopback, and this agent may not see whose they are. */
  readonly exposedUnknown?: number;
}

export interface UnreachableStatus {
  readonly host: string;
  /** HOST:PORT, as tried. */
  readonly addresses: readonly string[];
  /** When it could not be reached first, ISO 8601. */
  readonly since: string;
  /** What came of the last try. */
  readonly cause: string;
  /** Services that may be called there, by what control said last. An agent of before does not tell, nor the next. */
  readonly runs?: readonly string[];
  /** Whether control hears it; null where nothing runs there that would tell. */
  readonly heard?: boolean | null;
}

/** Whether calls fail by it: one that is off, or runs nothing, is called by nobody. */
export function isMissed({ runs, heard }: UnreachableStatus): boolean {
  return heard !== false && (runs === undefined || runs.length > 0);
}

/** `off`: there is none, and one begins when it is needed. `leaving`: it takes no more, and ends with its last flow. */
export type SecondThreadState = 'off' | 'starting' | 'on' | 'leaving';

export interface WorkerStatus {
  readonly flows: { readonly open: number; readonly recorded: number };
  readonly tunnel: { readonly open: number; readonly bytesSent: number; readonly bytesReceived: number };
}

export interface TargetStatus {
  readonly service: string;
  /** As declared. */
  readonly port: number;
  /** `any`: of each transport that is declared. */
  readonly protocol: Protocol | 'any';
  readonly targetPort: number;
}

export interface NameStatus {
  /** Such as redis.internal. */
  readonly name: string;
  readonly kind: 'web' | 'private';
  /** VIP; null when this agent's range is too small for it. */
  readonly address: string | null;
  /** Each as the mesh file writes it; also those that programs in sandboxes have opened. */
  readonly ports: readonly string[];
  /** Those of them that programs opened, where the mesh publishes these (`ports: auto`). An agent of before does not tell. */
  readonly opened?: readonly string[];
  readonly instances: number;
  readonly healthy: number;
}
