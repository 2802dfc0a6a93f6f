/** How agents fare, as far as views care: an immutable value for each agent, replaced when it changes. */
import { type PortRange, publishablePorts, type Service } from '@weft/proto';

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

/** Without what is not published of it: agents tell of more, and may not have heard yet that the mesh says so no more. The same value where all is. */
export function publishedHealth<Health extends Pick<InstanceHealth, 'opened'>>(
  health: Health,
  service: Service | undefined,
): Health {
  const { opened, ...declared } = health;
  if (opened === undefined) return health;
  const published = service?.autoPorts === true ? publishablePorts(opened, service.ports) : [];
  return { ...(declared as Health), ...(published.length > 0 && { opened: published }) };
}
