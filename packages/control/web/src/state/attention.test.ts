import { describe, expect, it } from 'vitest';
import type { AgentView, NetworkView, ServiceView, TrafficView } from '../../../src/dashboard/api.ts';
import { attention, healthOf, type Observed } from './attention.ts';

const agent = (host: string, change: Partial<AgentView> = {}): AgentView =>
  ({ host, connected: true, behindSinceMs: 0, problems: [], gatewayAddress: '', ...change }) as AgentView;
const service = (name: string, ...healthy: boolean[]): ServiceView =>
  ({
    name,
    problems: [],
    instances: healthy.map((each) => ({ healthy: each, connected: true })),
  }) as unknown as ServiceView;
const denied = (source: string, destinationHost: string): TrafficView =>
  ({ source, service: 'rabbit', destinationHost, lastDenied: { rule: 'no-admin-ui' } }) as TrafficView;

function observed(change: { agents?: AgentView[]; services?: ServiceView[]; traffic?: TrafficView[] }): Observed {
  return {
    network: undefined,
    agents: new Map((change.agents ?? []).map((each) => [each.host, each])),
    services: new Map((change.services ?? []).map((each) => [each.name, each])),
    traffic: change.traffic ?? [],
  };
}

describe('health', () => {
  it.each([
    [service('a', true, true), 'healthy'],
    [service('a', true, false), 'degraded'],
    [service('a', false), 'down'],
    [service('a'), 'none'],
  ] as const)('%#: %s', (each, health) => {
    expect(healthOf(each)).toBe(health);
  });

  it('is down when the agents of healthy instances are away', () => {
    const away = { ...service('a'), instances: [{ healthy: true, connected: false }] } as unknown as ServiceView;
    expect(healthOf(away)).toBe('down');
  });
});

describe('what wants attention', () => {
  it('is a public service without any gateway; one that is away may still let the internet in', () => {
    const shop = { ...service('web', true), public: { port: 80, hosts: [] } };
    const told = (...agents: AgentView[]): string =>
      attention(observed({ agents, services: [shop] }))
        .map(({ text }) => text)
        .join();
    expect(told(agent('a'))).toMatch(/^web is public, and no agent is a gateway/);
    expect(told(agent('a', { gatewayAddress: ':443' }))).toBe('');
    expect(told(agent('a', { gatewayAddress: ':443', connected: false }))).not.toContain('public');
  });

  it('is a control that takes each older copy for what counts', () => {
    const network = { acceptsOlderData: true, flowsDropped: 0, trafficOmitted: 0 } as NetworkView;
    const [told, ...more] = attention({ ...observed({ agents: [agent('a')] }), network });
    expect(told).toMatchObject({ severity: 'warn', text: expect.stringContaining('--accept-older-data') });
    expect(more).toEqual([]);
  });

  it('is a control that cannot write', () => {
    const problem = { code: 'data-not-written', message: 'the disk is full', sinceMs: 1 } as const;
    const network = { flowsDropped: 0, trafficOmitted: 0, disk: [problem] } as unknown as NetworkView;
    const told = attention({ ...observed({ agents: [agent('a')] }), network });
    expect(told).toMatchObject([{ severity: 'bad', text: 'the disk is full' }]);
  });

  it('is nothing when all is well', () => {
    expect(attention(observed({ agents: [agent('a')], services: [service('web', true)] }))).toEqual([]);
  });

  it('names each of a few, worst first, and where more is told', () => {
    const found = attention(
      observed({ agents: [agent('late', { loopDelayMs: 900 }), agent('gone', { connected: false })] }),
    );
    expect(found.map(({ text, href }) => [text, href])).toEqual([
      ['Agent gone is disconnected', '#/agents/gone'],
      ['late is overloaded: its loop is 900 ms late', '#/agents/late'],
    ]);
  });

  it('counts many as one thing', () => {
    const agents = ['a', 'b', 'c', 'd'].map((host) => agent(host, { clockSkewMs: -1_500 }));
    expect(attention(observed({ agents }))).toEqual([
      { severity: 'warn', text: '4 agents with a clock more than 1 s off', href: '#/agents?state=skewed' },
    ]);
  });

  it('tells of a denied pair once, whatever hosts it was tried on', () => {
    const traffic = [denied('web', 'data-1'), denied('web', 'data-2')];
    expect(attention(observed({ traffic })).map(({ text }) => text)).toEqual(['web is denied rabbit by no-admin-ui']);
  });

  it('does not blame an agent that is away for what it told last', () => {
    const gone = agent('gone', { connected: false, clockSkewMs: 9_000, loopDelayMs: 900, behindSinceMs: 5 });
    expect(attention(observed({ agents: [gone] }))).toHaveLength(1);
  });
});
