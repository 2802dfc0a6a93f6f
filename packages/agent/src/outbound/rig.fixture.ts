/** For tests: agents of one network in one process. Real loopback sockets at both ends; tunnels are pipes in memory. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import {
  type Action,
  type AgentRole,
  compilePolicy,
  EXPOSED_PROBLEM,
  type FlowRecord,
  type PortRange,
  type Problem,
  type Rule,
  type Service,
  TARGET_PROBLEM,
} from '@weft/proto';
import { pino } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import { OpenFiles } from '../bytes/open-files.ts';
import type { AgentService } from '../config/agent-file.ts';
import { PacedSink } from '../flows/paced-records.ts';
import { FlowRecorder } from '../flows/recorder.ts';
import { FlowRegistry } from '../flows/registry.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { createInbound, type Inbound, type InboundOptions } from '../inbound/inbound.ts';
import { FakeNetmapSource } from '../netmap/sample.fixture.ts';
import { createHostSources } from '../netmap/store.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { Owners } from '../owner/owners.ts';
import { TunnelEndedError } from '../tunnel/errors.ts';
import { requestOf } from '../tunnel/tunnels.ts';
import type { Tunnels } from '../tunnel/types.ts';
import type { Netmap, NetmapInstance, NetmapPeer } from '../words/netmap.ts';
import type { Opened, Refusal } from '../words/opening.ts';
import type { Problems } from '../words/problems.ts';
import { createOutbound, type Outbound, type OutboundOptions } from './outbound.ts';
import { datagramPipe, streamPipe } from './pipes.fixture.ts';

export interface AgentSpec {
  readonly host: string;
  /** Services it runs, with the port of the program behind each declared port, as `PORT/PROTOCOL`. */
  readonly runs?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly roles?: readonly AgentRole[];
}

export interface MeshSpec {
  readonly services: readonly Service[];
  readonly agents: readonly AgentSpec[];
  readonly rules?: readonly Rule[];
  readonly defaultAction?: Action;
  /** Hosts of revoked agents: unknown to the others. */
  readonly revoked?: readonly string[];
  /** Hosts of members that nobody else is told of. */
  readonly apart?: readonly string[];
  /** Instances that are not well, such as `redis/0`. */
  readonly unhealthy?: readonly string[];
}

export function service(name: string, kind: Service['kind'], ...ports: readonly (number | string)[]): Service {
  const ranges = ports.map((port): PortRange => {
    const [number, protocol] = String(port).split('/');
    return { protocol: protocol === 'udp' ? 'udp' : 'tcp', first: Number(number), last: Number(number) };
  });
  const open = ranges[0];
  const ingress = kind === 'web' && open !== undefined ? { public: { port: open.first, hosts: [] } } : {};
  return { name, kind, ports: ranges, tags: [], ...ingress };
}

export function rule(name: string, action: Action, from: string, to: string): Rule {
  return { name, action, from: [from], to: [to], ports: [] };
}

/** What else stands, where the programs of some services are not there, or are where this machine's network may have them. */
export function exceptTargets({ current }: Pick<Problems, 'current'>): readonly Problem[] {
  return current.filter(({ code }) => code !== TARGET_PROBLEM && code !== EXPOSED_PROBLEM);
}

export interface RigAgent {
  readonly host: string;
  readonly netmap: FakeNetmapSource;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly registry: FlowRegistry;
  readonly recorder: FlowRecorder;
  readonly traffic: FlowTraffic;
  readonly problems: ProblemBoard;
  readonly files: OpenFiles;
  /** What it opens at others, unless a test does so in its place. */
  readonly tunnels: Pick<Tunnels, 'openStream' | 'openDatagrams' | 'promising'>;
}

export interface RigOptions {
  readonly idleMs?: number;
  readonly retryMs?: number;
  readonly forwardMs?: number;
  readonly flowLimit?: number;
  readonly datagramClients?: number;
  readonly mostListeners?: number;
  /** By default, nobody is of another host. */
  readonly callers?: OutboundOptions['callers'];
  /** What each look for a caller waits for. */
  readonly beforeLook?: () => Promise<void>;
  /** Files that each agent may have open: none more than the test has leaves all flows refused. */
  readonly readTable?: NonNullable<InboundOptions['readTable']>;
  readonly wildcards?: NonNullable<InboundOptions['wildcards']>;
}

const EVERYBODY: OutboundOptions['callers'] = { refuses: () => false, refused: 0 };

export class Rig {
  readonly agents = new Map<string, RigAgent>();
  /** Hosts that no tunnel reaches: opening one waits until it is given up. */
  readonly unreachable = new Set<string>();
  readonly #pipes: ((cause: Error) => void)[] = [];
  readonly #stop = new AbortController();
  // One network of a run, apart from those of other runs at the same time.
  readonly #network = randomInt(96, 250);
  readonly #block = randomInt(0, 25) * 10;
  #spec: MeshSpec;
  #revision = 1;

  private constructor(spec: MeshSpec) {
    this.#spec = spec;
  }

  static async start(spec: MeshSpec, options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(spec);
    for (const agent of spec.agents) rig.#add(agent, options);
    for (const { inbound, outbound } of rig.agents.values()) {
      await inbound.watch.start();
      await outbound.settled();
    }
    return rig;
  }

  agent(host: string): RigAgent {
    const agent = this.agents.get(host);
    if (agent === undefined) throw new TypeError(`no agent ${host}`);
    return agent;
  }

  /** Addresses as the agent on `host` sees them. */
  vip(host: string, name: string, services = this.#spec.services): string {
    const index = services.findIndex((each) => each.name === name);
    return `127.${this.#network}.${this.#block + this.#at(host)}.${10 + index}`;
  }

  instanceAddress(host: string, name: string, ordinal: number): string {
    const index = this.#spec.services.findIndex((each) => each.name === name);
    return `127.${this.#network}.${this.#block + this.#at(host)}.${50 + index * 10 + ordinal}`;
  }

  hostAddress(host: string, of: string): string {
    return `127.${this.#network}.${this.#block + this.#at(host)}.${200 + this.#at(of)}`;
  }

  /** A new revision for all agents, or for those named. */
  change(change: Partial<MeshSpec>, ...hosts: readonly string[]): void {
    this.#revision++;
    this.#spec = { ...this.#spec, ...change };
    for (const [host, agent] of this.agents) {
      if (hosts.length === 0 || hosts.includes(host)) agent.netmap.swap(this.#netmap(host));
    }
  }

  /** Records of all agents, in the order they ended on each. */
  records(): readonly FlowRecord[] {
    return [...this.agents.values()].flatMap(({ recorder }) => recorder.recent());
  }

  /** Live flows of all agents. */
  get live(): number {
    return [...this.agents.values()].reduce((sum, { registry }) => sum + registry.live, 0);
  }

  /** What is open between agents ends as it does when a tunnel breaks. */
  breakTunnels(): void {
    for (const fail of this.#pipes.splice(0)) fail(new TunnelEndedError('dead', 'the peer is silent'));
  }

  stop(): void {
    this.#stop.abort();
    for (const { registry } of this.agents.values()) registry.stop('the test is over');
  }

  #at(host: string): number {
    return this.#spec.agents.findIndex((agent) => agent.host === host);
  }

  #add(spec: AgentSpec, options: RigOptions): void {
    const { host, runs = {} } = spec;
    const netmap = new FakeNetmapSource(this.#netmap(host));
    const recorder = new FlowRecorder();
    const traffic = new FlowTraffic({ metrics: true });
    const log = pino({ level: 'silent' });
    const problems = new ProblemBoard(log);
    const limit = options.flowLimit === undefined ? {} : { limit: options.flowLimit };
    const registry = new FlowRegistry({
      netmap,
      sink: new PacedSink(recorder, problems, (service) => netmap.current.services.has(service)),
      traffic,
      ...limit,
    });
    const services = new Map(Object.entries(runs).map(([name, programs]) => [name, agentService(name, programs)]));
    const files = new OpenFiles(Number.POSITIVE_INFINITY, problems);
    const common = { ...options, netmap, registry, problems, log, files, signal: this.#stop.signal };
    const inbound = createInbound({ ...common, services, watchMs: 50 });
    const tunnels = this.#tunnels(host);
    const looking = new Owners({ problems, log, files, signal: this.#stop.signal, native: true });
    const { beforeLook } = options;
    const owners: OutboundOptions['owners'] = {
      find: (caller) =>
        beforeLook === undefined ? looking.find(caller) : beforeLook().then(() => looking.find(caller)),
      follow: (rules) => looking.follow(rules),
      warm: () => looking.warm(),
      left: (owner) => looking.left(owner),
      holders: (places) => looking.holders(places),
    };
    const outbound = createOutbound({ callers: EVERYBODY, owners, ...common, tunnels, inbound });
    this.agents.set(host, { host, netmap, inbound, outbound, registry, recorder, traffic, problems, files, tunnels });
  }

  #tunnels(from: string): Pick<Tunnels, 'openStream' | 'openDatagrams' | 'promising'> {
    const open = async <C>(
      agentId: string,
      deadline: Deadline,
      ask: (to: RigAgent, answer: (opened: Opened<C>) => void) => void,
    ) => {
      if (this.unreachable.has(agentId)) await new Promise((resolve) => deadline.onEnd(resolve));
      deadline.throwIfOver();
      const to = this.agent(agentId);
      return new Promise<Opened<C>>((resolve, reject) => {
        deadline.onEnd(reject);
        setImmediate(() => {
          if (to.netmap.current.peers.has(from)) ask(to, resolve);
          else reject(new TunnelEndedError('revoked', `${from} is no member any more`));
        });
      });
    };
    const peerOf = (to: RigAgent): NetmapPeer => {
      const peer = to.netmap.current.peers.get(from);
      if (peer === undefined) throw new Error(`${to.host} does not know ${from}`);
      return peer;
    };
    const refusing =
      <C>(answer: (opened: Opened<C>) => void) =>
      (refusal: Refusal) =>
        answer({ opened: false, refusal });
    return {
      openStream: (permit, target, deadline) =>
        open(target.agentId, deadline, (to, answer) =>
          to.inbound.stream({
            peer: peerOf(to),
            request: requestOf(permit, target),
            gone: deadline.over,
            onGone: (told) => deadline.onEnd(told),
            refuse: refusing(answer),
            accept: () => {
              const [near, far, fail] = streamPipe();
              this.#pipes.push(fail);
              answer({ opened: true, conduit: near });
              return far;
            },
          }),
        ),
      promising: () => true,
      openDatagrams: (permit, target, deadline) =>
        open(target.agentId, deadline, (to, answer) =>
          to.inbound.datagrams({
            peer: peerOf(to),
            request: requestOf(permit, target),
            gone: deadline.over,
            onGone: (told) => deadline.onEnd(told),
            refuse: refusing(answer),
            accept: () => {
              const [near, far, fail] = datagramPipe();
              this.#pipes.push(fail);
              answer({ opened: true, conduit: near });
              return far;
            },
          }),
        ),
    };
  }

  #netmap(host: string): Netmap {
    return meshNetmap(this.#spec, host, this.#revision, {
      service: (name) => this.vip(host, name),
      instance: (name, ordinal) => this.instanceAddress(host, name, ordinal),
      host: (of) => this.hostAddress(host, of),
    });
  }
}

/** Where things are in the range of the agent that asks. */
export interface MeshAddresses {
  service(name: string): string;
  instance(name: string, ordinal: number): string;
  host(host: string): string;
}

/** What the agent on `host` knows of the mesh. */
export function meshNetmap(spec: MeshSpec, host: string, revision: number, addresses: MeshAddresses): Netmap {
  const { services, agents, rules = [], defaultAction = 'allow', revoked = [], apart = [], unhealthy = [] } = spec;
  const members = agents.filter((agent) => !revoked.includes(agent.host));
  const describe = (agent: AgentSpec) => ({
    agentId: agent.host,
    host: agent.host,
    tags: [],
    services: Object.keys(agent.runs ?? {}),
    roles: agent.roles ?? [],
    address: addresses.host(agent.host),
  });
  const instancesOf = (name: string): NetmapInstance[] => {
    // Ordinals are for life: counted before revoked agents are left out.
    const all = agents.filter((agent) => agent.runs?.[name] !== undefined);
    return all.flatMap((agent, ordinal) => {
      if (!members.includes(agent)) return [];
      const address = addresses.instance(name, ordinal);
      const healthy = !unhealthy.includes(`${name}/${ordinal}`);
      return [{ service: name, ordinal, agentId: agent.host, address, healthy, notListening: [] }];
    });
  };
  const self = members.find((agent) => agent.host === host);
  const peers = self === undefined ? [] : members.filter((agent) => agent !== self && !apart.includes(agent.host));
  const keys = { tunnelKey: new Uint8Array(32), psk: new Uint8Array(32), endpoints: [] };
  const known = new Map(
    services.map((each) => [
      each.name,
      { service: each, address: addresses.service(each.name), instances: instancesOf(each.name) },
    ]),
  );
  return {
    timeline: 't',
    index: revision,
    revision,
    self: self === undefined ? undefined : { ...describe(self), network: 'test' },
    services: known,
    peers: new Map(peers.map((agent) => [agent.host, { ...describe(agent), ...keys }])),
    policy: compilePolicy({ revision, defaultAction, rules }),
    ruleSet: { defaultAction, rules },
    hostSource: createHostSources(known),
  };
}

function agentService(name: string, programs: Readonly<Record<string, number>>): AgentService {
  const targets = Object.entries(programs).map(([key, targetPort]) => {
    const [port, protocol] = key.split('/');
    return { port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp', host: '127.0.0.1', targetPort } as const;
  });
  return { name, targets };
}

/** A TCP program of a host. */
export async function program(
  serve: (socket: net.Socket) => void,
): Promise<{ readonly port: number; readonly callers: string[]; close(): void }> {
  const callers: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    callers.push(socket.remoteAddress ?? '');
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as net.AddressInfo).port, callers, close };
}

export { until } from '../until.fixture.ts';
