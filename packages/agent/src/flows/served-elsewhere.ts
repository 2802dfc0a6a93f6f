/** Whether a call that this host would take could go to another one. */
import { instanceListens } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import type { FlowRequest } from './judge.ts';

/** Another host's instance is well and has the port, as far as control has told. */
export function servedElsewhere(
  { services, self }: Netmap,
  { service, port, protocol }: Pick<FlowRequest, 'service' | 'port' | 'protocol'>,
): boolean {
  const known = services.get(service);
  return (known?.instances ?? []).some(
    (instance) =>
      instance.healthy &&
      instance.agentId !== self?.agentId &&
      instanceListens(known?.service, instance, port, protocol),
  );
}
