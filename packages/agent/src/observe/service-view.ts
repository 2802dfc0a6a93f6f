/** The services of the network as this agent knows them, for a command of its host. */
import { defined, formatPortRange, portsInWords, type Service } from '@weft/proto';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';

export interface ServiceView {
  readonly service: Omit<Service, 'ports' | 'autoPorts'> & {
    /** As the mesh file writes them: `auto` among them where programs' own are published. */
    readonly ports: readonly string[];
  };
  /** On this host; empty for a worker, and where the agent's range is too small for it. */
  readonly vip: string;
  readonly instances: readonly {
    readonly ordinal: number;
    /** Empty where no flow is permitted between it and this host, so that neither is told of the other. */
    readonly host: string;
    readonly address: string;
    readonly healthy: boolean;
    readonly notListening: readonly string[];
    /** Ports that its programs in sandboxes have opened beside the declared ones. */
    readonly opened: readonly string[];
  }[];
}

export function serviceViews({ services, peers, self }: Netmap): readonly ServiceView[] {
  const hostOf = ({ agentId }: NetmapInstance) =>
    (agentId === self?.agentId ? self.host : peers.get(agentId)?.host) ?? '';
  return [...services.values()].map(({ service, address, instances }) => ({
    service: {
      name: service.name,
      kind: service.kind,
      ports: portsInWords(service),
      tags: service.tags,
      ...defined({ public: service.public }),
    },
    vip: (service.kind === 'worker' ? undefined : address) ?? '',
    instances: instances.map((instance) => ({
      ordinal: instance.ordinal,
      host: hostOf(instance),
      address: instance.address ?? '',
      healthy: instance.healthy,
      notListening: instance.notListening.map(formatPortRange),
      opened: (instance.opened ?? []).map(formatPortRange),
    })),
  }));
}
