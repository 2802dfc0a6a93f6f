import type { FlowView } from '../../../src/dashboard/api.ts';

export function flow(cursor: number, change: Partial<FlowView> = {}): FlowView {
  return {
    cursor,
    id: `${cursor}`,
    startedMs: cursor * 1_000,
    durationMs: 10,
    source: 'web',
    sourceHost: 'edge-1',
    service: 'redis',
    instance: '0.redis',
    destinationHost: 'data-1',
    port: 6379,
    protocol: 'tcp',
    verdict: 'allow',
    rule: 'default',
    revision: 4,
    outcome: 'closed',
    bytesSent: 1,
    bytesReceived: 2,
    zone: '',
    user: '',
    unit: '',
    program: '',
    detail: '',
    ...change,
  };
}
