/** What an agent tells control of itself; see Report in agent.proto for each field. */
import type { ReportedExposure } from './exposed.ts';
import type { PortRange } from './mesh.ts';

export interface InstanceReport {
  readonly service: string;
  readonly healthy: boolean;
  readonly notListening: readonly PortRange[];
  /** Of a service with `autoPorts`: what its programs in sandboxes listen on beside the declared ports; left out where that is nothing. */
  readonly opened?: readonly PortRange[];
}

export interface Problem {
  /** Stable identifier, such as `port-taken`. */
  readonly code: string;
  /** Such as `redis:6379/tcp`. */
  readonly subject: string;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** Code of the problem of a service whose program others reach past Weft; its subject is the service. */
export const EXPOSED_PROBLEM = 'exposed';

/** Code of the problem, which control finds, of a service that other hosts have reached past Weft; its subject is the service. */
export const REACHED_PROBLEM = 'exposed-reached';

/** They stand for as long as a host is laid out so that the mesh does not get all that it asks, and nothing fails. */
export const NO_BREAKS: ReadonlySet<string> = new Set([
  EXPOSED_PROBLEM,
  REACHED_PROBLEM,
  'match-not-enforced',
  'rules-inexact',
]);

/** Whether something does not work, so that who watches a host is to hear of it. */
export function isBreak({ code }: Pick<Problem, 'code'>): boolean {
  return !NO_BREAKS.has(code);
}

/** A program that is shut in on a host (`weft run`). */
export interface ReportedSandbox {
  readonly service: string;
  /** Name, or number written out. */
  readonly user: string;
  /** Of its supervisor. */
  readonly pid: number;
  /** The systemd unit that it was started in; empty for none. */
  readonly unit: string;
  /** Milliseconds since the Unix epoch, by its host's clock. */
  readonly sinceMs: number;
  /** Ports of its service that it serves. */
  readonly ports: readonly PortRange[];
  /** Whether it may reach places out of the mesh. */
  readonly egress: boolean;
}

export interface Report {
  readonly endpoints: readonly string[];
  readonly tunnelPort: number;
  readonly instances: readonly InstanceReport[];
  readonly gatewayAddress: string;
  readonly problems: readonly Problem[];
  readonly tunnels: number;
  readonly flows: number;
  /** Places that it can listen on at once; 0 when it knows no limit. */
  readonly listeners: number;
  /** Names of services that run there whose processes its agent tells from others. */
  readonly toldApart: readonly string[];
  /** Whether a program that is known to be of none of them speaks as the host, even where one service alone runs. */
  readonly othersAsHost: boolean;
  readonly exposed: readonly ReportedExposure[];
  /** Whether other agents may try those places. */
  readonly triedByPeers: boolean;
  /** Programs that are shut in there; left out for none. */
  readonly sandboxes?: readonly ReportedSandbox[];
  /** What it can know of processes: of `all`, or of its own user's, and of others' sockets the user, and the unit (`units`) or the control group (`groups`); absent where it did not say. */
  readonly sight?: string;
  /** Whether it asks the `kernel` for single sockets, or reads `tables`. */
  readonly sockets?: string;
}
