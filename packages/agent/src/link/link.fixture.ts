import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  CONTROL_RANGE,
  type FlowRecord,
  type NetmapDelta,
  type NetmapItem,
  type OpenFlow,
  type Report,
  type SelfItem,
} from '@weft/proto';
import { type AgentHandlers, deltaToWire, type pb } from '@weft/proto/wire';
import { pino } from 'pino';
import { afterEach, beforeEach } from 'vitest';
import { makeTestKeys } from '../../testing/certificate.ts';
import { type FakeControl, startFakeControl } from '../../testing/fake-control.ts';
import { FlowRecorder } from '../flows/recorder.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import type { Membership } from '../member/identity.ts';
import { makeKeys } from '../member/keys.ts';
import { NetmapStore, type RestoredNetmap } from '../netmap/store.ts';
import { AgentTelemetry } from '../observe/telemetry.ts';
import { ENFORCEMENT } from '../run/enforce.ts';
import { controlAddresses } from './addresses.ts';
import { runLink } from './link.ts';
import { ReportSender } from './report-sender.ts';

/** The far end of a link, step by step. */
export class Stream {
  readonly call: ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>;
  readonly #received: pb.AgentMessage[] = [];
  #wake: () => void = () => {};

  constructor(call: ServerDuplexStream<pb.AgentMessage, pb.Outgoing<pb.ControlMessage>>) {
    this.call = call;
    call.on('data', (message: pb.AgentMessage) => {
      this.#received.push(message);
      this.#wake();
    });
    call.on('error', () => {});
    call.on('end', () => call.end());
  }

  /** What came and was not asked for. */
  get left(): readonly pb.AgentMessage[] {
    return this.#received;
  }

  /** The next message of a sort; others that come before it are passed over. */
  async next<Name extends keyof pb.AgentMessage>(name: Name): Promise<NonNullable<pb.AgentMessage[Name]>> {
    for (;;) {
      const message = this.#received.shift();
      const found = message?.[name];
      if (found) return found;
      if (message === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  send(message: pb.Outgoing<pb.ControlMessage>): void {
    this.call.write(message);
  }

  delta(fields: Partial<NetmapDelta>): void {
    const delta = {
      timeline: 't1',
      previous: 0,
      index: 1,
      revision: 1,
      snapshot: false,
      upserts: [],
      removals: [],
      ...fields,
    };
    this.send({ delta: deltaToWire(delta) });
  }

  /** What the agent says of itself, from the challenge on. */
  async hello(
    nonce = new Uint8Array(32).fill(5),
    acknowledgesFlows = false,
    capability = 0,
  ): Promise<pb.Hello & pb.Standing> {
    this.send({ challenge: { nonce, acknowledgesFlows, capability } });
    const hello = await this.next('hello');
    this.send({ welcome: { observedHost: '203.0.113.7' } });
    const { agentId, signature, version, revision, receipt } = hello;
    // What was left out of a message stands in its prototype.
    return Object.assign(Object.create(await this.next('standing')), {
      agentId,
      signature,
      version,
      revision,
      receipt,
    });
  }
}

export class Streams {
  readonly #waiting: ((stream: Stream) => void)[] = [];
  readonly #come: Stream[] = [];

  readonly handlers: Partial<AgentHandlers> = {
    connect: (call) => {
      const stream = new Stream(call);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#come.push(stream);
      else waiting(stream);
    },
  };

  /** How many came and were not asked for. */
  get come(): number {
    return this.#come.length;
  }

  next(): Promise<Stream> {
    const stream = this.#come.shift();
    return stream === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(stream);
  }
}

export const self: SelfItem = {
  type: 'self',
  agentId: 'a1',
  network: 'prod',
  host: 'build-3',
  tags: [],
  address: CONTROL_RANGE.base + 3,
  services: [],
  roles: [],
  controlAddresses: [],
};
export const policy = { type: 'policy', defaultAction: 'allow', rules: [] } as const satisfies NetmapItem;

export const flow: FlowRecord = {
  id: '0123456789abcdef',
  startedMs: 1,
  durationMs: 5,
  source: 'web',
  sourceHost: 'build-3',
  service: 'redis',
  instance: 'redis/0',
  destinationHost: 'build-4',
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
};

export const openFlow: OpenFlow = {
  ...{ id: flow.id, source: 'web', sourceHost: 'build-3', service: 'redis', instance: 'redis/0', port: 6379 },
  ...{ destinationHost: 'build-4', protocol: 'tcp', bytesSent: 1, bytesReceived: 2, ageMs: 60_000, idleMs: 5_000 },
  ...{ user: 'bin', unit: 'web.service', program: '/usr/bin/web' },
};

interface Begun {
  readonly telemetryMs?: number;
  /** What was kept of an earlier run. */
  readonly restored?: RestoredNetmap | undefined;
  /** Addresses of control beside its own, HOST:PORT. */
  readonly beside?: readonly string[];
}

/** A link with control at its other end, step by step. */
export function linkRig() {
  const controls: FakeControl[] = [];
  let stop = new AbortController();
  beforeEach(() => {
    stop = new AbortController();
  });
  afterEach(() => {
    stop.abort();
    for (const control of controls.splice(0)) control.close();
  });

  async function serve(agent: Partial<AgentHandlers>, keys = makeTestKeys(), port = 0): Promise<FakeControl> {
    const control = await startFakeControl({ agent, keys, port });
    controls.push(control);
    return control;
  }

  function setUp(control: FakeControl, { telemetryMs = 60_000, restored, beside = [] }: Begun = {}) {
    const keys = makeKeys();
    const membership: Membership = {
      agentId: 'a1',
      network: 'prod',
      host: 'build-3',
      controlAddresses: [control.address, ...beside],
      pin: control.pin,
      ephemeral: false,
      revoked: false,
    };
    const store = new NetmapStore(CONTROL_RANGE, restored, 1_000, ENFORCEMENT);
    const state = { tunnels: 0 };
    const reporter = new ReportSender(
      (): Report => ({
        endpoints: [],
        tunnelPort: 7410,
        instances: [],
        gatewayAddress: '',
        problems: [],
        flows: 0,
        listeners: 0,
        toldApart: [],
        othersAsHost: false,
        exposed: [],
        triedByPeers: false,
        ...state,
      }),
    );
    const flows = new FlowRecorder();
    const traffic = new FlowTraffic();
    const telemetry = new AgentTelemetry({
      traffic,
      names: flows,
      host: () => 'build-3',
      lost: () => 0,
      queued: () => flows.counters.queued,
      pulses: () => Promise.resolve([]),
      settings: { everyMs: telemetryMs },
      now: () => 9_000,
      random: () => 0.5,
    });
    /** What the disk does. */
    const disk = {
      writes: [] as boolean[],
      holds: (): Promise<boolean> => Promise.resolve(true),
      recovered: Promise.resolve(),
    };
    const keeper = {
      holds: (takesAway: boolean) => {
        disk.writes.push(takesAway);
        return disk.holds();
      },
      get recovered() {
        return disk.recovered;
      },
    };
    const events: string[] = [];
    const lines: { readonly event: string; readonly level: number }[] = [];
    const logger = pino({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) });
    const logged = (event: string) => lines.filter((line) => line.event === event);
    const seen: string[] = [];
    const link = runLink(
      {
        keys,
        membership,
        addresses: () => {
          const told = store.controlAddresses;
          return controlAddresses({ named: undefined, told, joined: membership.controlAddresses }, CONTROL_RANGE);
        },
        store,
        keeper,
        reporter,
        flows,
        telemetry,
        trace: (agentId, deadline) => {
          if (agentId === 'a2') return Promise.resolve(250);
          if (agentId === 'a3') return Promise.reject(new Error('no route\nto a3'));
          return new Promise((_resolve, reject) => deadline.onEnd(reject));
        },
        tryPlaces: (_, places) => Promise.resolve(places.map(() => 'refused' as const)),
        openFlows: ({ most }) => Promise.resolve({ flows: [openFlow].slice(0, most), omitted: 3 }),
        seen: (observedHost) => seen.push(observedHost),
        run: new Uint8Array(8),
        version: '0.1.0',
        logger,
        limits: { minimumMs: 1, maximumMs: 5, revokedMs: 5 },
        random: () => 0.5,
        now: () => 9_000,
        connected: () => events.push('connected'),
        disconnected: () => events.push('disconnected'),
        held: async ({ reason, retryMs, unknown }) => {
          events.push(`held ${retryMs} ${unknown}: ${reason}`);
        },
        revoked: async (reason) => {
          events.push(`revoked: ${reason}`);
          store.clear();
        },
      },
      stop.signal,
    );
    return { keys, membership, store, disk, reporter, flows, traffic, events, logged, seen, link, state };
  }

  return { serve, setUp, end: () => stop.abort() };
}
