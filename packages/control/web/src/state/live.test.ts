import { describe, expect, it } from 'vitest';
import type { AgentView, LiveEvent, NetworkView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import { LiveStore } from './live.ts';

const service = (name: string): ServiceView => ({
  name,
  kind: 'private',
  ports: [],
  tags: [],
  vip: '',
  names: [],
  instances: [],
  problems: [],
});
const agent = (host: string): AgentView => ({ host }) as AgentView;
const snapshot = (...names: string[]): LiveEvent => ({
  atMs: 1_000,
  snapshot: true,
  network: { name: 'prod', revision: 1 } as NetworkView,
  services: Object.fromEntries(names.map((name) => [name, service(name)])),
  agents: { 'data-1': agent('data-1') },
  traffic: {},
});

describe('live state', () => {
  it('takes a snapshot whole, and changes piece by piece', () => {
    const live = new LiveStore();
    live.apply(snapshot('web', 'redis'));
    const web = live.services.value.get('web');
    live.apply({ atMs: 2_000, snapshot: false, services: { redis: null, api: service('api') } });
    expect([...live.services.value.keys()]).toEqual(['api', 'web']);
    expect(live.services.value.get('web')).toBe(web);
    expect(live.agents.value.has('data-1')).toBe(true);
    expect(live.atMs.value).toBe(2_000);
  });

  it('keeps what an event does not tell of as the same object', () => {
    const live = new LiveStore();
    live.apply(snapshot('web'));
    const { services, traffic, network } = live;
    const before = [services.value, traffic.value, network.value];
    live.apply({ atMs: 2_000, snapshot: false, agents: { 'data-1': agent('data-1') } });
    expect([services.value, traffic.value, network.value]).toEqual(before);
    expect(services.value).toBe(before[0]);
    expect(traffic.value).toBe(before[1]);
  });

  it('takes traffic pair by pair, in an order that stays', () => {
    const live = new LiveStore();
    const pair = (source: string, open: number): TrafficView => ({ source, open }) as TrafficView;
    live.apply({ ...snapshot('web'), traffic: { 'web a': pair('web', 1), 'api b': pair('api', 2) } });
    const [api] = live.traffic.value;
    expect(live.traffic.value.map(({ source }) => source)).toEqual(['api', 'web']);
    live.apply({ atMs: 2_000, snapshot: false, traffic: { 'web a': pair('web', 3) } });
    expect(live.traffic.value.map(({ open }) => open)).toEqual([2, 3]);
    expect(live.traffic.value[0]).toBe(api);
    live.apply({ atMs: 3_000, snapshot: false, traffic: { 'api b': null } });
    expect(live.traffic.value.map(({ source }) => source)).toEqual(['web']);
  });

  it('forgets at a snapshot what it does not hold, as after a restart of control', () => {
    const live = new LiveStore();
    live.apply(snapshot('web', 'redis'));
    live.apply(snapshot('redis'));
    expect([...live.services.value.keys()]).toEqual(['redis']);
  });

  it('is live again with the first event after a break, which need not be a snapshot', () => {
    const live = new LiveStore();
    live.apply(snapshot('web'));
    live.connection.value = 'stale';
    live.apply({ atMs: 9_000, snapshot: false });
    expect(live.connection.value).toBe('live');
    expect(live.services.value.size).toBe(1);
  });

  it('sorts names as people count', () => {
    const live = new LiveStore();
    live.apply(snapshot('app-10', 'app-9', 'api'));
    expect([...live.services.value.keys()]).toEqual(['api', 'app-9', 'app-10']);
  });

  it('holds nothing of a network that was left', () => {
    const live = new LiveStore();
    live.apply(snapshot('web'));
    live.clear();
    expect([live.network.value, live.services.value.size, live.agents.value.size, live.atMs.value]).toEqual([
      undefined,
      0,
      0,
      0,
    ]);
    expect(live.connection.value).toBe('connecting');
  });
});
