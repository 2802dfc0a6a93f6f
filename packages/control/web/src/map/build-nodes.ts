/** From what the page knows of a network to the boxes and nodes of its map. */
import type { AgentView, InstanceView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import {
  adriftBoxKey,
  type Door,
  type DoorState,
  doorKey,
  type Grouping,
  hostBoxKey,
  internetKey,
  type MapBox,
  type MapNode,
  networkBoxKey,
  processKey,
  serviceKey,
} from './graph.ts';

export interface MapInput {
  /** Sorted by name. */
  readonly services: ReadonlyMap<string, ServiceView>;
  /** Sorted by host. */
  readonly agents: ReadonlyMap<string, AgentView>;
  readonly traffic: readonly TrafficView[];
}

export function doorOf(input: MapInput): Door {
  const gateways = [...input.agents.values()]
    .filter((agent) => agent.gatewayAddress !== '')
    .map(({ host, connected }) => ({ host, connected }));
  const services = [...input.services.values()].filter((service) => service.public).map(({ name }) => name);
  return { gateways, services, state: doorState(services.length > 0, gateways) };
}

function doorState(isPublic: boolean, gateways: Door['gateways']): DoorState {
  if (!isPublic || gateways.length === 0) return 'closed';
  return gateways.some(({ connected }) => connected) ? 'open' : 'unknown';
}

export function nodesOf(input: MapInput, grouping: Grouping, door: Door): Map<string, MapNode> {
  const nodes: MapNode[] = [outside(internetKey, 'internet', 'internet'), outside(doorKey, 'door', 'public door')];
  for (const service of input.services.values()) {
    if (grouping === 'network') {
      nodes.push(serviceNode(service, service.instances, networkBoxKey));
      continue;
    }
    const byHost = Map.groupBy(service.instances, (instance) => instance.host);
    for (const [host, instances] of byHost) nodes.push(serviceNode(service, instances, hostBoxKey(host)));
    if (byHost.size === 0) nodes.push(serviceNode(service, [], adriftBoxKey));
  }
  for (const caller of processes(input.traffic)) {
    const host = caller.slice('host:'.length);
    const box = grouping === 'network' ? networkBoxKey : hostBoxKey(host);
    nodes.push(processNode(caller, box, input.agents.get(host)?.connected ?? false));
  }
  nodes[1] = {
    ...outside(doorKey, 'door', 'public door'),
    connected: door.state === 'open',
    instances: door.gateways.length,
  };
  return new Map(nodes.map((node) => [node.key, node]));
}

export function boxesOf(input: MapInput, grouping: Grouping, nodes: ReadonlyMap<string, MapNode>): Map<string, MapBox> {
  const inside = Map.groupBy(nodes.values(), (node) => node.box);
  inside.delete('');
  const hosts = new Set(grouping === 'host' ? input.agents.keys() : []);
  const boxes = new Map<string, MapBox>();
  const keys = new Set([...[...hosts].map(hostBoxKey), ...inside.keys()]);
  for (const key of [...keys].sort(byName)) {
    const members = (inside.get(key) ?? []).sort(inBox).map((node) => node.key);
    boxes.set(key, box(key, members, input));
  }
  return boxes;
}

/** By name, and processes that are no service last. */
function inBox(left: MapNode, right: MapNode): number {
  const [leftLast, rightLast] = [left.kind === 'process', right.kind === 'process'];
  return Number(leftLast) - Number(rightLast) || byName(left.key, right.key);
}

/** By code unit: the same order in every browser. */
function byName(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

function box(key: string, nodes: readonly string[], input: MapInput): MapBox {
  if (key === networkBoxKey) return { key, name: '', kind: 'network', connected: true, gateway: false, nodes };
  if (key === adriftBoxKey) {
    return { key, name: 'runs nowhere', kind: 'adrift', connected: true, gateway: false, nodes };
  }
  const host = key.slice(hostBoxKey('').length);
  const agent = input.agents.get(host);
  const gateway = agent !== undefined && agent.gatewayAddress !== '';
  return { key, name: host, kind: 'host', connected: agent?.connected ?? false, gateway, nodes };
}

function serviceNode(service: ServiceView, instances: readonly InstanceView[], boxKey: string): MapNode {
  const hosts = new Set(instances.map((instance) => instance.host));
  const here = service.problems.filter((problem) => boxKey === networkBoxKey || hosts.has(problem.host));
  return {
    key: serviceKey(service.name, boxKey),
    kind: service.kind,
    name: service.name,
    service: service.name,
    box: boxKey,
    instances: instances.length,
    healthy: instances.filter((instance) => instance.healthy && instance.connected).length,
    ports: service.ports,
    public: service.public !== undefined,
    problems: [...new Set(here.map((problem) => problem.code))].sort(byName),
    connected: instances.length === 0 || instances.some((instance) => instance.connected),
  };
}

function processNode(caller: string, boxKey: string, connected: boolean): MapNode {
  const name = boxKey === networkBoxKey ? caller : 'host processes';
  return { ...outside(processKey(caller, boxKey), 'process', name), box: boxKey, connected };
}

function outside(key: string, kind: MapNode['kind'], name: string): MapNode {
  return {
    key,
    kind,
    name,
    service: '',
    box: '',
    instances: 0,
    healthy: 0,
    ports: [],
    public: false,
    problems: [],
    connected: true,
  };
}

function processes(traffic: readonly TrafficView[]): string[] {
  const callers = traffic.map((pair) => pair.source).filter((source) => source.startsWith('host:'));
  return [...new Set(callers)].sort(byName);
}
