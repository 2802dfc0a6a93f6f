/** What an agent tells control of itself; see Report in agent.proto for each field. */
import type { PortRange } from './mesh.ts';

export interface InstanceReport {
  readonly service: string;
  readonly healthy: boolean;
  readonly notListening: readonly PortRange[];
}

export interface Problem {
  /** Stable identifier, such as `port-taken`. */
  readonly code: string;
  /** Such as `redis:6379/tcp`. */
  readonly subject: string;
  /** What is wrong and what to do. */
  readonly message: string;
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
}
