/** An agent over real gRPC, for tests: proves who it is, applies deltas as agent.proto says, and acknowledges them. */
import { randomBytes } from 'node:crypto';
import { type ClientDuplexStream, credentials, type StatusObject } from '@grpc/grpc-js';
import { CAPABILITY, itemKey, type NetmapDelta, type NetmapItem, type Report } from '@weft/proto';
import {
  AgentClient,
  agentService,
  callDuplex,
  deltaFromWire,
  encodeItem,
  helloMessage,
  inventoryToWire,
  itemDigest,
  type pb,
  reportToWire,
} from '@weft/proto/wire';
import nacl from 'tweetnacl';
import type { JoinedHost } from '../netmap/network.fixture.ts';

export interface FakeAgentOptions {
  /** Acknowledge each delta; true when left out. */
  readonly acknowledge?: boolean;
  /** Signs with this key instead of its own. */
  readonly identitySecret?: Uint8Array;
  readonly report?: Report;
  /** What it says that it understands; 0 for one that says nothing. */
  readonly capability?: number;
  /** Says how it stands once it is welcome; true when left out. */
  readonly standing?: boolean;
}

export function reportOf(services: readonly string[], more: Partial<Report> = {}): Report {
  const instances = services.map((service) => ({ service, healthy: true, notListening: [] }));
  return {
    endpoints: [],
    tunnelPort: 7410,
    instances,
    gatewayAddress: '',
    problems: [],
    tunnels: 0,
    flows: 0,
    listeners: 0,
    toldApart: [],
    othersAsHost: false,
    exposed: [],
    triedByPeers: false,
    ...more,
  };
}

export class FakeAgent {
  items = new Map<string, NetmapItem>();
  timeline = '';
  index = 0;
  revision = 0;
  receipt: Uint8Array = new Uint8Array();
  /** As they came since the last connect. */
  deltas: NetmapDelta[] = [];
  revoked: string | undefined;
  held: pb.ControlMessage['held'];
  traces: pb.TraceRequest[] = [];
  openFlows: pb.OpenFlowsRequest[] = [];
  status: StatusObject | undefined;
  stream: ClientDuplexStream<pb.Outgoing<pb.AgentMessage>, pb.ControlMessage> | undefined;
  readonly #client: AgentClient;
  readonly #run = new Uint8Array(randomBytes(8));
  readonly #pin: Uint8Array;
  readonly #joined: JoinedHost;
  readonly #options: FakeAgentOptions;
  readonly #watchers = new Set<() => void>();

  constructor(address: string, pin: Uint8Array, joined: JoinedHost, options: FakeAgentOptions = {}) {
    this.#client = new AgentClient(address, credentials.createInsecure());
    this.#pin = pin;
    this.#joined = joined;
    this.#options = options;
  }

  get id(): string {
    return this.#joined.agent.id;
  }

  /** Opens a stream, without waiting for anything. */
  connect(): this {
    this.deltas = [];
    this.status = undefined;
    const stream = callDuplex(this.#client, agentService.connect);
    this.stream = stream;
    stream.on('data', (message: pb.ControlMessage) => {
      if (stream === this.stream) this.#receive(message);
    });
    stream.on('error', () => undefined);
    stream.on('status', (status) => {
      if (stream === this.stream) this.status = status;
      this.#look();
    });
    return this;
  }

  send(message: pb.Outgoing<pb.AgentMessage>): void {
    this.stream?.write(message);
  }

  report(report: Report): void {
    this.send({ report: reportToWire(report) });
  }

  /** Resolves once `holds` does; it is asked after each thing that arrives. */
  until(holds: (agent: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds(this)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Goes away without a word, as a host does. */
  close(): void {
    this.stream?.cancel();
    this.#client.close();
  }

  #receive(message: pb.ControlMessage): void {
    if (message.challenge) this.#greet(message.challenge.nonce);
    if (message.welcome && this.#options.standing !== false) this.#stand();
    if (message.delta) this.#apply(message.delta);
    if (message.trace) this.traces.push(message.trace);
    if (message.openFlows) this.openFlows.push(message.openFlows);
    if (message.held) this.held = message.held;
    if (message.revoked) this.revoked = message.revoked.reason;
    this.#look();
  }

  #greet(nonce: Uint8Array): void {
    const signed = helloMessage(nonce, this.#pin, this.id);
    this.send({
      hello: {
        agentId: this.id,
        signature: nacl.sign.detached(signed, this.#options.identitySecret ?? this.#joined.identitySecret),
        version: '1.2.3',
        timeline: this.timeline,
        revision: this.revision,
        receipt: this.receipt,
        run: this.#run,
        capability: this.#options.capability ?? CAPABILITY,
      },
    });
  }

  #stand(): void {
    const inventory = new Map(
      Array.from(this.items, ([key, item]): [string, Uint8Array] => [key, itemDigest(encodeItem(item))]),
    );
    this.send({
      standing: {
        timeline: this.timeline,
        index: this.index,
        inventory: inventoryToWire(inventory),
        report: reportToWire(this.#options.report ?? reportOf(this.#joined.agent.services)),
      },
    });
  }

  #apply(wire: pb.Delta): void {
    const { delta } = deltaFromWire(wire);
    const resumed = this.deltas.length === 0 && this.items.size > 0;
    this.deltas.push(delta);
    const follows = delta.snapshot || resumed || (delta.timeline === this.timeline && delta.previous === this.index);
    if (!follows) {
      this.send({ resync: { reason: `holds ${this.index}, was sent a change of ${delta.previous}` } });
      return;
    }
    if (delta.snapshot) this.items.clear();
    for (const key of delta.removals) this.items.delete(key);
    for (const item of delta.upserts) this.items.set(itemKey(item), item);
    const { timeline, index, revision } = delta;
    Object.assign(this, { timeline, index, revision, receipt: delta.receipt ?? new Uint8Array() });
    if (this.#options.acknowledge !== false) this.send({ ack: { timeline, index, revision, kept: true } });
  }

  #look(): void {
    for (const look of [...this.#watchers]) look();
  }
}
