/** A small mesh for tests of the map. */
import type { AgentView, InstanceView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import type { MapInput } from './build-nodes.ts';

export function instance(host: string, changes: Partial<InstanceView> = {}): InstanceView {
  return { ordinal: 0, host, address: '127.90.0.1', healthy: true, connected: true, notListening: [], ...changes };
}

export function service(name: string, hosts: readonly string[], changes: Partial<ServiceView> = {}): ServiceView {
  const instances = hosts.map((host) => instance(host));
  return { name, kind: 'private', ports: ['80'], tags: [], vip: '', names: [], instances, problems: [], ...changes };
}

export function agent(host: string, changes: Partial<AgentView> = {}): AgentView {
  return {
    id: host,
    host,
    connected: true,
    lastSeenMs: 0,
    version: '',
    capability: 1,
    enforcedRevision: 1,
    enforcedSinceMs: 0,
    behindSinceMs: 0,
    services: [],
    roles: [],
    gatewayAddress: '',
    ephemeral: false,
    tags: [],
    tokenId: '',
    earlierTokenIds: [],
    address: '',
    endpoints: [],
    observedHost: '',
    addressHint: '',
    fingerprint: '',
    openFlows: 0,
    tunnels: [],
    problems: [],
    ...changes,
  };
}

export function pair(source: string, sourceHost: string, to: string, toHost: string, rate = 1): TrafficView {
  return {
    source,
    sourceHost,
    service: to,
    destinationHost: toHost,
    open: 0,
    openedPerSecond: rate,
    deniedPerSecond: 0,
    failedPerSecond: 0,
    sentPerSecond: 0,
    receivedPerSecond: 0,
  };
}

export const denial = { port: 15672, protocol: 'tcp', rule: 'no-admin-ui', revision: 7, atMs: 1000 } as const;

export function mesh(
  services: readonly ServiceView[],
  agents: readonly AgentView[],
  traffic: readonly TrafficView[] = [],
): MapInput {
  return {
    services: new Map(services.map((one) => [one.name, one])),
    agents: new Map(agents.map((one) => [one.host, one])),
    traffic,
  };
}

/** web on a and b, public through the gateway a; redis and rabbit on c. */
export function shop(traffic: readonly TrafficView[] = []): MapInput {
  const site = service('web', ['a', 'b'], { kind: 'web', public: { port: 80, hosts: ['shop.example.com'] } });
  const gateway = agent('a', { gatewayAddress: '0.0.0.0:8080' });
  return mesh([service('rabbit', ['c']), service('redis', ['c']), site], [gateway, agent('b'), agent('c')], traffic);
}
