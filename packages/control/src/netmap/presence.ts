/** How agents fare, as far as views care: an immutable value for each agent, replaced when it changes. */
import type { PortRange } from '@weft/proto';

export interface InstanceHealth {
  readonly healthy: boolean;
  readonly notListening: readonly PortRange[];
  /** Beside the declared ones, while programs in sandboxes listen there; left out for none. */
  readonly opened?: readonly PortRange[];
}

export interface Presence {
  /** Where its tunnel port may be reached, HOST:PORT, in the order to try. */
  readonly endpoints: readonly string[];
  /** By service name: what it runs now, whether the mesh declares it and control allows it or not. */
  readonly instances: ReadonlyMap<string, InstanceHealth>;
}

/** By agent id; an agent never heard of is taken to run what it once registered, and to be unwell. */
export type Presences = ReadonlyMap<string, Presence>;

export const ABSENT: InstanceHealth = { healthy: false, notListening: [] };
