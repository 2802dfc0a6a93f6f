/** What an agent tells a command that checks its host: what it alone knows, or may try. */
import type { PortRange } from '@weft/proto';
import type { TargetTry } from '../inbound/try-target.ts';
import type { ProcessFacts } from './process-facts.ts';

export interface HostFacts {
  readonly process: ProcessFacts;
  /** Files that it must be allowed to have open, to listen on every port of the network and carry flows beside. */
  readonly filesNeeded: number;
  readonly peers: readonly PeerFacts[];
  /** Of the services that run here, in the order of the agent file and of their ports; workers have none. */
  readonly targets: readonly TargetFacts[];
}

/** Another host that a flow may go to or come from. */
export interface PeerFacts {
  readonly host: string;
  /** Its services that have ports. */
  readonly runs: readonly string[];
  /** Whether control hears it; undefined where nothing that it runs tells. */
  readonly up?: boolean;
}

/** In place of an address, where programs are called in sandboxes, and none is outside. */
export const IN_SANDBOX = 'in a sandbox';

/** Neighbouring ports that came to the same are one. */
export interface TargetFacts {
  readonly service: string;
  /** As declared. */
  readonly ports: PortRange;
  /** Of the first port: in the order of the tries, up to the one that answered. */
  readonly tried: readonly TargetTry[];
}
