/** The agent's live view of the network: an immutable snapshot, swapped whole at each change. */
import type { AgentRole, HostSource, Policy, PolicyRules, PortRange, Service } from '@weft/proto';
import type { TunnelPeer } from './peer.ts';

/** A service and its own address here, already shifted into this agent's range. */
export interface NetmapService {
  readonly service: Service;
  /** Dotted quad: the VIP, or for a worker the source address. Undefined when this agent's range is too small for it. */
  readonly address: string | undefined;
  /** Beside the declared ones: what programs in sandboxes listen on, of a service whose `autoPorts` says so; left out for none. */
  readonly opened?: readonly PortRange[];
  /** By ordinal. */
  readonly instances: readonly NetmapInstance[];
}

export interface NetmapInstance {
  readonly service: string;
  readonly ordinal: number;
  readonly agentId: string;
  /** Dotted quad of this one instance, shifted. */
  readonly address: string | undefined;
  readonly healthy: boolean;
  readonly notListening: readonly PortRange[];
  readonly opened?: readonly PortRange[];
}

/** What control says of an agent, be it this one or a peer. */
export interface NetmapAgent {
  readonly agentId: string;
  readonly host: string;
  readonly tags: readonly string[];
  readonly roles: readonly AgentRole[];
  /** Services it may run, and speak as. */
  readonly services: readonly string[];
  /** Source address of its host, shifted. */
  readonly address: string | undefined;
}

export type NetmapPeer = NetmapAgent & TunnelPeer;
export type NetmapSelf = NetmapAgent & { readonly network: string };

export interface Netmap {
  readonly timeline: string;
  readonly index: number;
  readonly revision: number;
  /** Undefined until control has spoken once, and after a revocation. */
  readonly self: NetmapSelf | undefined;
  /** Every service this agent knows, workers among them. By name. */
  readonly services: ReadonlyMap<string, NetmapService>;
  /** By agent id. */
  readonly peers: ReadonlyMap<string, NetmapPeer>;
  readonly policy: Policy;
  /** What the policy was made of. The same value for as long as no rule changes. */
  readonly ruleSet: Pick<PolicyRules, 'rules' | 'defaultAction'>;
  /** Who calls from that agent's host where nobody can tell more. The same value each time, which the policy remembers. */
  readonly hostSource: (agent: NetmapAgent) => HostSource;
}

/** Who follows a new netmap. In which order is said in one place: run/enforce.ts. */
export type EnforcementStep = 'flows' | 'tunnels' | 'targets' | 'listeners' | 'mismatches' | 'kept' | 'measured';

/** Holds the newest snapshot. */
export interface NetmapSource {
  readonly current: Netmap;
  /** Called after each swap, in the order of the steps, before the swap is acknowledged to control. One listener a step. */
  subscribe(step: EnforcementStep, listener: (next: Netmap, previous: Netmap) => void): void;
  /** Undefined while control is connected; else since when it is not, milliseconds since the Unix epoch. */
  readonly staleSinceMs: number | undefined;
}
