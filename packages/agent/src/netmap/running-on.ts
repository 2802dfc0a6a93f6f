/** What runs on another host, and whether it is there, by what control said last. */
import { eachPort, includesPort, type Service } from '@weft/proto';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';

export interface RunningOn {
  /** Names of its services that have ports, and so may be called there. */
  readonly runs: readonly string[];
  /** Whether control hears its agent; undefined where nothing runs there that would tell. */
  readonly heard: boolean | undefined;
}

export function runningOn({ services }: Netmap, agentId: string): RunningOn {
  const there = [...services.values()].flatMap(({ service, instances }) =>
    instances.filter((instance) => instance.agentId === agentId).map((instance) => ({ service, instance })),
  );
  const runs = there.flatMap(({ service }) => (service.kind === 'worker' ? [] : service.name));
  // One that is unwell and has no declared ports is silent at all of them, heard or not.
  const telling = there.filter(
    ({ service, instance }) => instance.healthy || service.kind === 'worker' || service.ports.length > 0,
  );
  return { runs, heard: telling.length === 0 ? undefined : telling.some(isHeard) };
}

/**
 * Where control hears the host, what is unwell there is silent at every port. Where it does not, nothing is well, and of ports it says
 * what was heard last.
 */
function isHeard({ service, instance }: { readonly service: Service; readonly instance: NetmapInstance }): boolean {
  if (instance.healthy || service.kind === 'worker') return instance.healthy;
  for (const { port, protocol } of eachPort(service.ports))
    if (!includesPort(instance.notListening, port, protocol)) return false;
  return true;
}
