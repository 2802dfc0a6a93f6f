/** A made-up mesh for the page's development and its tests: the same for the same options, and it moves when told to. */
import type { AgentView, FlowView, LiveEvent, NetworkView, ServiceView, TrafficView } from '../../src/dashboard/api.ts';

export interface MeshOptions {
  readonly services: number;
  readonly agents: number;
  /** Flows that end in a second. */
  readonly flowsPerSecond: number;
}

const KNOWN: readonly [string, ServiceView['kind'], string][] = [
  ['web', 'web', '3000'],
  ['redis', 'private', '6379'],
  ['rabbit', 'private', '5672'],
  ['mailer', 'worker', ''],
  ['postgres', 'private', '5432'],
  ['statsd', 'private', '8125/udp'],
];
const KINDS = ['private', 'worker', 'web', 'private'] as const;

export class MadeUpMesh {
  readonly services: Map<string, ServiceView> = new Map();
  readonly agents: Map<string, AgentView> = new Map();
  traffic: TrafficView[] = [];
  readonly flows: FlowView[] = [];
  readonly #options: MeshOptions;
  readonly #startMs = Date.now();
  #random = 7;
  #cursor = 0;

  constructor(options: MeshOptions) {
    this.#options = options;
    for (let index = 0; index < options.agents; index += 1) this.#addAgent(index);
    for (let index = 0; index < options.services; index += 1) this.#addService(index);
    this.#addTraffic();
    this.endFlows(Math.min(600, options.flowsPerSecond * 30), 3_600_000);
  }

  network(): NetworkView {
    const agents = [...this.agents.values()];
    return {
      name: 'prod',
      revision: 12,
      services: this.services.size,
      agents: agents.length,
      connected: agents.filter(({ connected }) => connected).length,
      behind: agents.filter(({ behindSinceMs }) => behindSinceMs > 0).map(({ host }) => host),
      flowsDropped: 0,
      trafficOmitted: 0,
      acceptsOlderData: false,
    };
  }

  snapshot(): LiveEvent {
    return {
      atMs: Date.now(),
      snapshot: true,
      network: this.network(),
      services: Object.fromEntries(this.services),
      agents: Object.fromEntries(this.agents),
      traffic: keyed(this.traffic),
    };
  }

  /** A second passes: rates change, and a few agents' numbers. */
  move(): LiveEvent {
    const agents: Record<string, AgentView> = {};
    for (const agent of [...this.agents.values()].slice(0, 10)) {
      if (!agent.connected) continue;
      const moved = {
        ...agent,
        lastSeenMs: Date.now(),
        tunnels: agent.tunnels.map((tunnel) => ({
          ...tunnel,
          roundTripMs: Math.round(tunnel.roundTripMs * (90 + this.#next(20))) / 100,
          bytesSent: tunnel.bytesSent + tunnel.sentPerSecond,
        })),
      };
      agents[agent.host] = moved;
      this.agents.set(agent.host, moved);
    }
    this.traffic = this.traffic.map((pair) =>
      pair.openedPerSecond === 0 ? pair : { ...pair, openedPerSecond: 0.2 + this.#next(400) / 10 },
    );
    return { atMs: Date.now(), snapshot: false, agents, traffic: keyed(this.traffic) };
  }

  /** Replaces one agent's view, as when it goes away. */
  setAgent(host: string, change: Partial<AgentView>): LiveEvent {
    const agent = this.agents.get(host);
    if (agent === undefined) throw new Error(`no agent ${host}`);
    const changed = { ...agent, ...change };
    this.agents.set(host, changed);
    return { atMs: Date.now(), snapshot: false, network: this.network(), agents: { [host]: changed } };
  }

  /** As many flows end, spread over the time before now. */
  endFlows(count: number, spreadMs: number): readonly FlowView[] {
    const ended: FlowView[] = [];
    for (let index = 0; index < count && this.traffic.length > 0; index += 1) {
      ended.push(this.#flow(Date.now() - Math.round(spreadMs * (1 - (index + 1) / count))));
    }
    this.flows.push(...ended);
    this.flows.splice(0, this.flows.length - 5_000);
    return ended;
  }

  #flow(endedMs: number): FlowView {
    const pair = this.traffic[this.#next(this.traffic.length)] as TrafficView;
    const [port = '1', protocol] = (this.services.get(pair.service)?.ports[0] ?? '1').split('/');
    const denied = pair.lastDenied !== undefined;
    const failed = pair.destinationHost === '';
    const durationMs = denied ? 0 : this.#next(4_000);
    this.#cursor += 1;
    return {
      cursor: this.#cursor,
      id: this.#cursor.toString(16).padStart(32, '0'),
      startedMs: endedMs - durationMs,
      durationMs,
      source: pair.source,
      sourceHost: pair.sourceHost,
      service: pair.service,
      instance: failed ? '' : `0.${pair.service}`,
      destinationHost: pair.destinationHost,
      port: Number(port),
      protocol: protocol === 'udp' ? 'udp' : 'tcp',
      verdict: denied ? 'deny' : 'allow',
      rule: pair.lastDenied?.rule ?? 'default',
      revision: 12,
      outcome: denied ? 'denied' : failed ? 'no-instance' : 'closed',
      bytesSent: denied ? 0 : this.#next(20_000),
      bytesReceived: denied ? 0 : this.#next(900_000),
      zone: pair.sourceHost.endsWith('2') ? 'eu-west-1b' : 'eu-west-1a',
      user: '',
      unit: '',
      program: '',
      detail: failed ? 'no healthy instance' : '',
    };
  }

  #addAgent(index: number): void {
    const host = `${['edge', 'app', 'data', 'build'][index % 4]}-${Math.floor(index / 4) + 1}`;
    const away = index === 5;
    const behind = index === 9;
    this.agents.set(host, {
      id: `agent-${index}`,
      host,
      connected: !away,
      lastSeenMs: away ? this.#startMs - 240_000 : this.#startMs,
      version: index === 7 ? '0.0.9' : '0.1.0',
      capability: index === 7 ? 1 : 2,
      enforcedRevision: behind ? 11 : 12,
      enforcedSinceMs: this.#startMs - 720_000,
      behindSinceMs: behind ? this.#startMs - 8_000 : 0,
      services: [],
      roles: index === 0 ? ['gateway'] : [],
      gatewayAddress: index === 0 ? '0.0.0.0:8080' : '',
      ephemeral: index % 4 === 3,
      tags: index % 4 === 2 ? ['data'] : [],
      tokenId: 'tok-1',
      earlierTokenIds: [],
      address: `10.0.${Math.floor(index / 200)}.${(index % 200) + 1}:7410`,
      fingerprint: `sha256:${'0123456789abcdef'.repeat(4)}`.slice(0, 71),
      clockSkewMs: index === 11 ? 2_340 : index % 7,
      loopDelayMs: 1 + (index % 9),
      flowsQueued: index % 3,
      recordsLost: index === 11 ? 1_200 : 0,
      endpoints: [`192.168.0.${(index % 200) + 1}:7410`],
      observedHost: `198.51.100.${(index % 200) + 1}`,
      addressHint: index === 3 ? 'behind NAT: it knows of private addresses alone' : '',
      openFlows: index * 3,
      tunnels: away ? [] : this.#tunnels(index),
      problems:
        index === 13
          ? [
              {
                host,
                code: 'target-not-listening',
                subject: 'redis:6379/tcp',
                message:
                  'redis 6379 → 127.0.0.1:6379: connection refused; start the program, or say in the agent file where it listens',
              },
            ]
          : [],
    });
  }

  #tunnels(index: number): AgentView['tunnels'] {
    return Array.from({ length: Math.min(6, this.#options.agents - 1) }, (_, at) => ({
      host: `app-${((index + at) % Math.max(1, Math.floor(this.#options.agents / 4))) + 1}`,
      tunnels: 1,
      roundTripMs: 0.4 + at * 3.1,
      bytesSent: 10_000_000 * (at + 1),
      bytesReceived: 7_000_000 * (at + 1),
      sentPerSecond: 20_000 * (at + 1),
      receivedPerSecond: 9_000 * (at + 1),
      pathSize: at % 2 === 0 ? 1_400 : 0,
    }));
  }

  #addService(index: number): void {
    const [name, kind, port] = KNOWN[index] ?? [
      `service-${index}`,
      KINDS[index % 4] ?? 'private',
      String(4_000 + index),
    ];
    const hosts = [...this.agents.values()];
    const count = hosts.length === 0 || index === 17 ? 0 : 1 + (index % 3);
    const worker = kind === 'worker';
    const instances = Array.from({ length: count }, (_, ordinal) => {
      const agent = hosts[(index * 3 + ordinal * 5) % hosts.length] as AgentView;
      this.agents.set(agent.host, {
        ...agent,
        services: [...new Set([...(this.agents.get(agent.host)?.services ?? []), name])],
      });
      const healthy = agent.connected && index !== 23;
      const notListening = healthy || worker || !agent.connected ? [] : [port];
      return { ordinal, host: agent.host, address: agent.address, healthy, connected: agent.connected, notListening };
    });
    this.services.set(name, {
      name,
      kind,
      ports: worker ? [] : name === 'rabbit' ? ['5672', '15672'] : [port],
      ...(name === 'web' ? { public: { port: 3_000, hosts: ['shop.example.com'] } } : {}),
      tags: index % 10 === 0 ? ['core'] : [],
      vip: worker ? '' : `127.80.${Math.floor(index / 250)}.${(index % 250) + 1}`,
      names: worker ? [] : [`${name}.internal`, `${name}-discovery.internal`, `0.${name}.internal`],
      instances,
      problems:
        index === 23
          ? [
              {
                host: instances[0]?.host ?? '',
                code: 'target-not-listening',
                subject: `${name}:${port}/tcp`,
                message: `${name} ${port} → 127.0.0.1:${port}: connection refused; start the program, or say in the agent file where it listens`,
              },
            ]
          : [],
    });
  }

  #addTraffic(): void {
    const services = [...this.services.values()];
    const callers = services.filter(({ instances }) => instances.length > 0);
    const called = services.filter(({ ports }) => ports.length > 0);
    for (let index = 0; index < this.services.size * 1.5 && callers.length > 1; index += 1) {
      const caller = callers[this.#next(callers.length)] as ServiceView;
      const service = called[index % called.length] as ServiceView;
      if (caller === service) continue;
      this.traffic.push(this.#pair(caller.name, caller.instances[0]?.host ?? '', service, index === 4 || index === 40));
    }
    const web = this.services.get('web');
    if (web !== undefined && callers.length > 0) this.traffic.push(this.#pair('internet', 'edge-1', web, false));
  }

  #pair(source: string, sourceHost: string, service: ServiceView, denied: boolean): TrafficView {
    return {
      source,
      sourceHost,
      service: service.name,
      destinationHost: denied ? '' : (service.instances[0]?.host ?? ''),
      open: denied ? 0 : this.#next(12),
      openedPerSecond: denied ? 0 : 0.2 + this.#next(300) / 10,
      deniedPerSecond: denied ? 0.4 : 0,
      failedPerSecond: service.instances.length === 0 ? 0.2 : 0,
      sentPerSecond: denied ? 0 : this.#next(90_000),
      receivedPerSecond: denied ? 0 : this.#next(900_000),
      ...(denied
        ? {
            lastDenied: {
              port: Number.parseInt(service.ports[0] ?? '1', 10),
              protocol: 'tcp' as const,
              rule: 'no-admin-ui',
              revision: 12,
              atMs: this.#startMs,
            },
          }
        : {}),
    };
  }

  /** Numbers that look random and are the same in each run. */
  #next(below: number): number {
    this.#random = (this.#random * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((this.#random / 2_147_483_648) * below);
  }
}

function keyed(traffic: readonly TrafficView[]): Record<string, TrafficView> {
  return Object.fromEntries(
    traffic.map((pair) => [`${pair.source} ${pair.sourceHost} ${pair.service} ${pair.destinationHost}`, pair]),
  );
}
