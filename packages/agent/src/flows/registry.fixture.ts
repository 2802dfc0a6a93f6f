/** For tests: a registry beside a netmap that can be swapped, and a call that it is asked about. */
import { defined, type FlowRecord } from '@weft/proto';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import { netmap } from './flows.fixture.ts';
import { type Caller, remoteCaller } from './judge.ts';
import { FlowRegistry, type FlowRequest } from './registry.ts';
import type { FlowTraffic } from './traffic.ts';

export function setup(limit?: number, peerLimit?: number, traffic?: FlowTraffic) {
  let swap: (next: Netmap) => void = () => {};
  const source: NetmapSource & { current: Netmap } = {
    current: netmap(1),
    staleSinceMs: undefined,
    subscribe(_step, listener) {
      swap = (next) => {
        const previous = source.current;
        source.current = next;
        listener(next, previous);
      };
    },
  };
  const records: FlowRecord[] = [];
  let clock = 1_000;
  const registry = new FlowRegistry({
    netmap: source,
    sink: { record: (flow) => records.push(flow) },
    now: () => clock++,
    ...defined({ traffic, limit, peerLimit }),
  });
  return { registry, records, swap: (next: Netmap) => swap(next) };
}

export const fromWeb: FlowRequest = {
  id: '00000000000000aa',
  protocol: 'tcp',
  service: 'redis',
  port: 6379,
  claimed: { source: 'web', host: 'peer' },
  identify: (current): Caller | undefined => remoteCaller(current, 'p', { type: 'service', name: 'web' }),
};

export function opened(registry: FlowRegistry, request = fromWeb) {
  const admission = registry.open(request);
  if (!admission.admitted) throw new Error(admission.refusal.reason);
  return admission.flow;
}
