import { describe, expect, it } from 'vitest';
import { buildGraph, topologyKey } from './build.ts';
import { adriftBoxKey, doorKey, internetKey } from './graph.ts';
import { agent, denial, instance, mesh, pair, service, shop } from './test-mesh.ts';

describe('graph by host', () => {
  it('has a service stand once in the box of each host that runs it', () => {
    const graph = buildGraph(
      mesh([service('redis', ['a', 'a', 'b', 'c'])], [agent('a'), agent('b'), agent('c')]),
      'host',
    );
    expect([...graph.boxes.keys()]).toEqual(['box:host:a', 'box:host:b', 'box:host:c']);
    expect(graph.nodes.get('redis@box:host:a')?.instances).toBe(2);
    expect(graph.nodes.get('redis@box:host:b')?.instances).toBe(1);
  });

  it('keeps a host without services and a service without hosts', () => {
    const graph = buildGraph(mesh([service('idle', [])], [agent('a')]), 'host');
    expect(graph.boxes.get('box:host:a')?.nodes).toEqual([]);
    expect(graph.boxes.get(adriftBoxKey)?.nodes).toEqual([`idle@${adriftBoxKey}`]);
  });

  it('counts an instance as healthy only while its agent is connected', () => {
    const instances = [instance('a'), instance('a', { connected: false }), instance('a', { healthy: false })];
    const graph = buildGraph(mesh([service('redis', [], { instances })], [agent('a')]), 'host');
    expect(graph.nodes.get('redis@box:host:a')).toMatchObject({ instances: 3, healthy: 1, connected: true });
  });

  it('draws a caller that is a process in the box of its host', () => {
    const graph = buildGraph(shop([pair('host:b', 'b', 'redis', 'c')]), 'host');
    expect(graph.nodes.get('host:b@box:host:b')?.kind).toBe('process');
    expect(graph.edges.get('flow host:b@box:host:b redis@box:host:c')?.source).toBe('host:b');
  });

  it('sums pairs on one line and keeps what is denied on a line of its own that names the rule', () => {
    const both = { ...pair('web', 'a', 'rabbit', 'c', 3), deniedPerSecond: 2, lastDenied: denial };
    const graph = buildGraph(shop([both, pair('web', 'a', 'rabbit', 'c', 4)]), 'host');
    const ends = 'web@box:host:a rabbit@box:host:c';
    expect(graph.edges.get(`flow ${ends}`)).toMatchObject({ openedPerSecond: 7 });
    expect(graph.edges.get(`denied ${ends}`)).toMatchObject({ rule: 'no-admin-ui', port: '15672', deniedPerSecond: 2 });
  });

  it('leads what reached no instance to the service, and has no line of flows for what was only denied', () => {
    const refused = { ...pair('web', 'a', 'rabbit', '', 0), lastDenied: denial };
    const keys = [...buildGraph(shop([refused]), 'host').edges.keys()].filter((key) => key.includes('rabbit'));
    expect(keys).toEqual(['denied web@box:host:a rabbit@box:host:c']);
  });

  it('leaves out traffic of a service that is gone', () => {
    const graph = buildGraph(shop([pair('web', 'a', 'gone', 'c'), pair('gone', 'a', 'redis', 'c')]), 'host');
    expect([...graph.edges.keys()].filter((key) => key.includes('gone'))).toEqual([]);
  });
});

describe('door', () => {
  it('is the one way in: from the internet to it, and on to each instance of a public service', () => {
    const graph = buildGraph(shop([pair('internet', 'a', 'web', 'b', 9)]), 'host');
    expect(graph.door.state).toBe('open');
    expect(graph.edges.get(`flow ${internetKey} ${doorKey}`)).toMatchObject({ openedPerSecond: 9 });
    expect(graph.edges.get(`flow ${doorKey} web@box:host:b`)).toMatchObject({ openedPerSecond: 9 });
    expect(graph.edges.has(`flow ${doorKey} web@box:host:a`)).toBe(true);
  });

  it('is closed with no gateway', () => {
    const graph = buildGraph({ ...shop(), agents: new Map([['a', agent('a')]]) }, 'host');
    expect(graph.door.state).toBe('closed');
    expect([...graph.edges.keys()]).toEqual([]);
  });

  it('is not known while its gateway is disconnected: it goes on without control', () => {
    const away = agent('a', { gatewayAddress: ':80', connected: false });
    const graph = buildGraph({ ...shop(), agents: new Map([['a', away]]) }, 'host');
    expect(graph.door.state).toBe('unknown');
    expect(graph.edges.has(`flow ${doorKey} web@box:host:b`)).toBe(true);
  });

  it('is closed while nothing is public', () => {
    const nothing = mesh([service('redis', ['a'])], [agent('a', { gatewayAddress: ':80' })]);
    expect(buildGraph(nothing, 'host').door.state).toBe('closed');
  });
});

describe('graph by network', () => {
  it('has each service once, in one box', () => {
    const graph = buildGraph(shop([pair('web', 'a', 'redis', 'c', 1), pair('web', 'b', 'redis', 'c', 2)]), 'network');
    expect(graph.boxes.size).toBe(1);
    expect(graph.nodes.get('web@box:network')?.instances).toBe(2);
    expect(graph.edges.get('flow web@box:network redis@box:network')).toMatchObject({ openedPerSecond: 3 });
  });
});

describe('topology key', () => {
  const key = (input: Parameters<typeof buildGraph>[0]): string => topologyKey(buildGraph(input, 'host'));

  it('stays while rates, health and callers move', () => {
    const still = key(shop());
    expect(key(shop([pair('web', 'a', 'redis', 'c', 5)]))).toBe(still);
    expect(key(shop([{ ...pair('web', 'b', 'redis', 'c', 50), lastDenied: denial }]))).toBe(still);
    const services = new Map(shop().services);
    services.set('redis', service('redis', [], { instances: [instance('c', { healthy: false })] }));
    expect(key({ ...shop(), services })).toBe(still);
  });

  it('changes with hosts, instances and processes', () => {
    const still = key(shop());
    expect(key({ ...shop(), agents: new Map([...shop().agents, ['d', agent('d')]]) })).not.toBe(still);
    expect(key({ ...shop(), services: new Map([...shop().services, ['x', service('x', ['c'])]]) })).not.toBe(still);
    expect(key(shop([pair('host:b', 'b', 'redis', 'c')]))).not.toBe(still);
  });
});
