/** What an agent is started with. */
import type { AddressRange, HostPort, JoinToken } from '@weft/proto';
import type { Tracer } from '@weft/proto/observe';
import type { Logger } from 'pino';
import type { Faults } from '../bytes/thread-checks.ts';
import type { AgentFile } from '../config/agent-file.ts';
import type { TelemetrySettings } from '../observe/telemetry.ts';
import type { TunnelSettings } from '../tunnel/settings.ts';
import type { AgentFileSource } from './reload.ts';

/** Of the second thread that is begun when it is needed, milliseconds. */
export interface SecondThreadTimes {
  /** One that has not come to its connections by then could not begin. */
  readonly start: number;
  /** It ends after so long without a flow, while no bulk moves. */
  readonly rest: number;
  /** What was passed is a flow by then, or none: who called is looked up, a tunnel greets. */
  readonly settle: number;
  /** A peer that does not let go of a tunnel without flows keeps it no longer. */
  readonly leave: number;
  /** Bulk has been over for so long before peers dial the first thread again. */
  readonly back: number;
  /** From one time that a thread leaves its tunnels to the next. */
  readonly calm: number;
  /** After one that could not begin. */
  readonly again: number;
  /** From one question whether it answers to the next; one that answers nothing for five of them is ended. */
  readonly look: number;
}

/** Times and bounds of the data path where they are not the usual ones. */
export interface DataPathLimits {
  /** A UDP flow without a datagram either way for this long is over, milliseconds. */
  readonly idleMs?: number;
  readonly tunnel?: Partial<TunnelSettings>;
  readonly second?: Partial<SecondThreadTimes>;
}

/** What is the same for all threads of an agent, as plain values. */
export interface DataPathCommon {
  /** Where VIPs lie on this host. */
  readonly range: AddressRange;
  readonly network: string;
  /** HOST:PORT where control is found. */
  readonly controls: readonly string[];
  /** X25519 secret of this agent. */
  readonly tunnelSecret: Uint8Array;
  readonly tunnel: HostPort;
  /** False when the UDP port is known not to be had. */
  readonly datagrams?: boolean;
  readonly limits: DataPathLimits;
  /** Whether metrics are asked for. */
  readonly metrics: boolean;
  /** Whether many datagrams may go and come by one call of the system, where this Node can. */
  readonly native: boolean;
  /** As another thread of this process has found what lies under Node; where left out, it is looked at. */
  readonly faults?: Faults;
}

export interface AgentOptions {
  /** Where keys and state are kept. */
  readonly directory: string;
  /** Needed at the first start only. */
  readonly token: JoinToken | undefined;
  /** HOST:PORT where control is looked for first. */
  readonly control?: string | undefined;
  readonly file: AgentFile;
  /** Where that is read again; left out where it cannot be. */
  readonly fileSource?: AgentFileSource | undefined;
  /** Told once how to have it read again. */
  readonly reloadable?: (reload: () => Promise<unknown>) => void;
  /** Where other agents connect, TCP and UDP. */
  readonly tunnel: HostPort;
  /** HOST:PORT told to peers instead of this host's own addresses. */
  readonly advertise: string | undefined;
  readonly dns: HostPort;
  /** Who answers names outside the network, before what the agent file and the host's resolv.conf say. */
  readonly dnsUpstreams?: readonly HostPort[] | undefined;
  /** Where VIPs and source addresses lie on this host. */
  readonly range: AddressRange;
  /** Name to go by when the token gives none. */
  readonly fallbackHost: string;
  readonly logger: Logger;
  /** Told once, when names are served and listeners are up. */
  readonly ready: (sentence: string) => void;
  /** Times and bounds of the data path where they are not the usual ones. */
  readonly limits?: DataPathLimits;
  /** Where Prometheus reads metrics; nowhere unless told. */
  readonly metrics?: HostPort | undefined;
  readonly telemetry?: TelemetrySettings;
  /** False where each datagram is to go and come by itself, though this Node could do more. */
  readonly native?: boolean;
  /** Threads that carry flows. Where left out there is one, and a second while bulk moves. */
  readonly workers?: number | undefined;
  /** Where sandboxes of this host come to, when not where `runSocketOf` says. */
  readonly runSocket?: string | undefined;
  /** How long a stop lets open flows finish, milliseconds; not at all when left out. */
  readonly drainMs?: number;
  /** Aborted where a stop is to wait for no open flow any more. */
  readonly hurry?: AbortSignal;
  /** Where the openings of flows are traced, if anywhere. Workers have tracers of their own. */
  readonly tracer?: Tracer | undefined;
}
