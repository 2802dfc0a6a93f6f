/**
 * What the dashboard's page and its server say to each other, over HTTP under /api. Types only: both sides import them. All
 * bodies are JSON. Every answer but `Session` needs the session's cookie; every request that changes something needs the
 * header `x-weft-dashboard: 1`, which no other site can make a browser send, and the role `admin`. What is refused answers
 * with `Failure` and a status that fits it. Times are milliseconds since the Unix epoch by control's clock, rates are per
 * second, ports are written as in the mesh file.
 *
 * | request | answer |
 * |---|---|
 * | POST /api/session {token} | Session, and the cookie |
 * | GET /api/session | Session, or 401 |
 * | DELETE /api/session | 204 |
 * | GET /api/live?network= | server-sent events: `live` with LiveEvent, `flows` with FlowsEvent; resumes by Last-Event-ID |
 * | GET /api/start | StartView |
 */
import type { FlowRecord, PeerTunnels, Problem, PublicIngress, ReportedSandbox, Service } from '@weft/proto';
import type { Actor } from '../audit/types.ts';
import type { LiveAgent, PeerRate } from '../fleet/live.ts';
import type { FleetNetwork } from '../fleet/projection.ts';
import type { KeptFlow } from '../flows/types.ts';
import type { AgentState, OlderData } from '../state/types.ts';
import type { DiskProblem } from '../store/disk-watch.ts';
import type { TrafficStatus } from '../traffic/types.ts';

export interface Failure {
  /** Stable word, such as `token-wrong`, `signed-out`, `too-many-tries`. */
  readonly code: string;
  /** What failed, why, what to do. */
  readonly message: string;
}

/** `read` sees; `admin` acts, and sees tokens and the audit too. */
export type Role = Actor['role'];

export interface Session {
  readonly role: Role;
  readonly expiresMs: number;
  readonly version: string;
  /** Names, sorted. Empty on a fresh control. */
  readonly networks: readonly string[];
}

// --- live ---

/**
 * The state of a network as pieces by key, each replaced whole. The first event of a connection that resumes nothing has
 * `snapshot` set and every piece; later ones what changed since the event before. At most one a second; when nothing changed
 * for 2 seconds, one without pieces, which tells that control is there.
 */
export interface LiveEvent {
  readonly atMs: number;
  readonly snapshot: boolean;
  /** Set when it changed. */
  readonly network?: NetworkView;
  /** By name. */
  readonly services?: Readonly<Record<string, ServiceView | null>>;
  /** By host. A host that is gone is null. */
  readonly agents?: Readonly<Record<string, AgentView | null>>;
  /** By caller, its host, service and host, in a key of the server's own making. */
  readonly traffic?: Readonly<Record<string, TrafficView | null>>;
}

export interface NetworkView extends FleetNetwork {
  /** Flow records lost between agents and control since control started. */
  readonly flowsDropped: number;
  /** Pairs of traffic that agents left out for want of room. */
  readonly trafficOmitted: number;
  /** Hosts have heard of more than control's data holds: no agent is served, and nothing can be changed. */
  readonly olderData?: OlderData;
  /** Control was started with --accept-older-data. */
  readonly acceptsOlderData: boolean;
  /** What control cannot write. */
  readonly disk?: readonly DiskProblem[];
}

export interface ServiceView extends Pick<Service, 'name' | 'kind' | 'tags' | 'description'> {
  readonly ports: readonly string[];
  /** Undefined unless the internet may reach it. */
  readonly public?: Pick<PublicIngress, 'port' | 'hosts'>;
  /** Empty for a worker. */
  readonly vip: string;
  /** DNS names that lead to it, its instances' own last. Empty for a worker. */
  readonly names: readonly string[];
  readonly instances: readonly InstanceView[];
  /** Problems that agents report of it. */
  readonly problems: readonly ProblemView[];
}

export interface InstanceView {
  readonly ordinal: number;
  readonly host: string;
  readonly address: string;
  readonly healthy: boolean;
  /** Its agent is connected. */
  readonly connected: boolean;
  /** Declared ports with nothing listening. */
  readonly notListening: readonly string[];
  /** Other ports, of programs in sandboxes, that are published while they listen; left out for none. */
  readonly opened?: readonly string[];
}

export interface ProblemView extends Problem {
  readonly host: string;
}

export interface AgentView
  extends Pick<AgentState, 'id' | 'host' | 'services' | 'roles' | 'ephemeral' | 'tokenId' | 'earlierTokenIds'>,
    Pick<
      LiveAgent,
      'connected' | 'lastSeenMs' | 'version' | 'capability' | 'enforcedRevision' | 'enforcedSinceMs' | 'behindSinceMs'
    > {
  /** Where its gateway listens; empty when it is none. */
  readonly gatewayAddress: string;
  readonly tags: readonly string[];
  readonly address: string;
  /** Where its tunnels may be reached, by its own words. */
  readonly endpoints: readonly string[];
  /** Where control sees it come from, and why that cannot be the same: hints. */
  readonly observedHost: string;
  readonly addressHint: string;
  readonly fingerprint: string;
  /** Its clock less control's; undefined before its first telemetry. */
  readonly clockSkewMs?: number;
  /** How late its loop ran, 99th percentile. */
  readonly loopDelayMs?: number;
  readonly flowsQueued?: number;
  /** Flow records that it lost since it started. */
  readonly recordsLost?: number;
  readonly openFlows: number;
  /** By host; of more than 64 peers those with the most bytes. */
  readonly tunnels: readonly TunnelView[];
  /** Set when there are more peers than `tunnels` holds: how many are left out. */
  readonly tunnelsOmitted?: number;
  /** Programs that are shut in there; left out for none. */
  readonly sandboxes?: readonly SandboxView[];
  readonly problems: readonly ProblemView[];
}

export interface SandboxView extends Omit<ReportedSandbox, 'ports'> {
  readonly ports: readonly string[];
}

/** `host` is the peer's. */
export interface TunnelView extends Omit<PeerTunnels, 'roundTripUs'>, PeerRate {
  /** 0 when not measured yet. */
  readonly roundTripMs: number;
}

/** Flows of one caller on one host to one service on another. */
export type TrafficView = TrafficStatus;

// --- flows ---

/** A later record has a higher cursor, over all that are kept. */
export interface FlowView extends FlowRecord, Pick<KeptFlow, 'cursor'> {}

/** Flows that ended since the event before, oldest first: at most 200 a second. */
export interface FlowsEvent {
  readonly flows: readonly FlowView[];
  /** Records left out to keep to that bound: the page says that it samples. */
  readonly omitted: number;
}

/** For each network that no agent has joined, and for a control that holds none, what brings up a first service there. */
export interface StartView {
  readonly networks: readonly StartNetwork[];
}

export interface StartNetwork {
  /** One that does not exist yet when control holds none. */
  readonly name: string;
  /** The service that is brought up. */
  readonly service: string;
  /** To be pasted into a shell on control's host, one after the other. */
  readonly commands: readonly { readonly title: string; readonly command: string }[];
}
