/**
 * For tests: both ends of an opening, the code as it is, from a program that calls on `a` to one that is called on `r`. What
 * passes between them waits until the test delivers it, so that a change can come at each await.
 */
import { randomInt } from 'node:crypto';
import type { Socket } from 'node:dgram';
import type { FlowRecord, Protocol } from '@weft/proto';
import { pino } from 'pino';
import type { Deadline } from '../bytes/deadline.ts';
import { OpenFiles } from '../bytes/open-files.ts';
import { FlowRegistry } from '../flows/registry.ts';
import { FlowTraffic } from '../flows/traffic.ts';
import { createFlowHandler } from '../inbound/handler.ts';
import { HeldDatagrams } from '../inbound/target-datagrams.ts';
import { FakeNetmapSource } from '../netmap/sample.fixture.ts';
import { ProblemBoard } from '../observe/problems.ts';
import { afterCut } from '../tunnel/after-cut.ts';
import { FlowCutError, TunnelEndedError, UnreachableError } from '../tunnel/errors.ts';
import { requestOf } from '../tunnel/tunnels.ts';
import type { Inbound, InboundHandler } from '../tunnel/types.ts';
import type { Conduit, ConduitEvents, DatagramConduit } from '../words/conduit.ts';
import type { Netmap } from '../words/netmap.ts';
import type { Opened, OpenRequest } from '../words/opening.ts';
import { Chooser } from './choose.ts';
import { OutboundDatagrams } from './datagrams.ts';
import { Admitter, Forwarder } from './forward.ts';
import type { BoundListener } from './listeners.ts';
import { datagramPipe, streamPipe } from './pipes.fixture.ts';
import { type MeshSpec, meshNetmap, service } from './rig.fixture.ts';
import { carryStream } from './streams.ts';

export type End = 'source' | 'destination';
const HOSTS = { source: 'a', destination: 'r' } as const;
export const PORT = 16_382;
/** `a` runs web, and `r` runs redis/0. */
export const MESH: MeshSpec = {
  services: [service('redis', 'private', PORT, `${PORT}/udp`), service('web', 'web', 13_000)],
  agents: [
    { host: 'a', runs: { web: {} } },
    { host: 'r', runs: { redis: {} } },
  ],
};
const log = pino({ level: 'silent' });
/** As the one service of its host. */
const WEB = { claim: { type: 'service', name: 'web' } } as const;

export function netmapAt(end: End, spec: MeshSpec, revision: number): Netmap {
  const everywhere = { service: () => '127.0.0.9', instance: () => '127.0.0.9', host: () => '127.0.0.9' };
  return meshNetmap(spec, HOSTS[end], revision, everywhere);
}

class Agent {
  readonly host: string;
  readonly netmap: FakeNetmapSource;
  readonly records: FlowRecord[] = [];
  readonly traffic = new FlowTraffic({ metrics: true });
  readonly registry: FlowRegistry;

  constructor(end: End) {
    this.host = HOSTS[end];
    this.netmap = new FakeNetmapSource(netmapAt(end, MESH, 1));
    this.registry = new FlowRegistry({
      netmap: this.netmap,
      sink: { record: (flow) => this.records.push(flow) },
      traffic: this.traffic,
    });
  }
}

/** What one side of the opening holds of the other. */
interface Held {
  readonly drop: (end: End, cause: TunnelEndedError) => void;
}

export class Opening {
  readonly source = new Agent('source');
  readonly destination = new Agent('destination');
  /** Of the called program: connections, how many of them are over, and the bytes that it got. */
  readonly #target = { opened: 0, over: 0, received: 0 };
  /** Offers at the destination that had no answer; below none when one had two. */
  #unanswered = 0;
  /** How the caller's connection ended; undefined while it stands, and for UDP. */
  ended: 'closed' | 'reset' | undefined;
  /** What went wrong that nobody foresaw. */
  readonly failures: unknown[] = [];
  readonly #underWay: (() => void)[] = [];
  readonly #held = new Set<Held>();
  readonly #forwarder: Forwarder;
  readonly #admitter: Admitter;
  readonly #handler: InboundHandler;
  readonly #closing: (() => void)[] = [];

  constructor() {
    const { netmap, registry } = this.source;
    const declared = new Set(['web']);
    this.#admitter = new Admitter({ netmap, registry, declared });
    const nowhere = () => Promise.reject(new Error('nothing runs here'));
    this.#forwarder = new Forwarder({
      netmap,
      declared,
      tunnels: {
        openStream: (permit, target, deadline) =>
          this.#ask<Conduit>(requestOf(permit, target), deadline, streamPipe, (inbound) =>
            this.#handler.stream(inbound),
          ),
        openDatagrams: (permit, target, deadline) =>
          this.#ask<DatagramConduit>(requestOf(permit, target), deadline, datagramPipe, (inbound) =>
            this.#handler.datagrams(inbound),
          ),
      },
      dialer: { stream: nowhere, datagrams: nowhere },
      chooser: new Chooser({ listening: () => false }, { promising: () => true }),
    });
    this.#handler = createFlowHandler({
      netmap: this.destination.netmap,
      registry: this.destination.registry,
      declared: new Set(['redis']),
      held: new HeldDatagrams(),
      dialer: {
        stream: (_permit, _caller, deadline) =>
          this.#dial(deadline, () => {
            const [near, far] = streamPipe();
            far.attach({
              ...ignoring,
              data: (piece) => {
                this.#target.received += piece.length;
              },
              closed: () => this.#target.over++,
            });
            return near;
          }),
        datagrams: (_permit, _caller, deadline) =>
          this.#dial(deadline, () => {
            const [near, far] = datagramPipe();
            far.attach({
              datagram: (payload) => {
                this.#target.received += payload.length;
              },
              closed: () => this.#target.over++,
            });
            return near;
          }),
      },
      log: pino({ level: 'error' }, { write: (line: string) => void this.failures.push(line) }),
    });
    for (const end of ['source', 'destination'] as const) {
      const other = end === 'source' ? HOSTS.destination : HOSTS.source;
      this[end].netmap.subscribe('tunnels', ({ peers }) => {
        if (!peers.has(other)) this.#breakTunnel(end, new TunnelEndedError('revoked', 'no member any more'));
      });
    }
  }

  /** A program calls and says four bytes, of UDP by `client`, and the first thing is under way. */
  async begin(protocol: Protocol, client: Socket): Promise<void> {
    const call = { service: 'redis', ordinal: undefined, port: PORT, protocol };
    const parts = { admitter: this.#admitter, forwarder: this.#forwarder };
    if (protocol === 'tcp') {
      const [program, accepted] = streamPipe();
      program.attach({
        ...ignoring,
        closed: (how) => {
          this.ended = how;
        },
      });
      program.write(Buffer.from('ping'), true);
      carryStream(accepted, call, parts, WEB).catch((cause: unknown) => this.failures.push(cause));
      return;
    }
    const address = newAddress();
    const problems = new ProblemBoard(log);
    const files = new OpenFiles(Number.POSITIVE_INFINITY, problems);
    const speakers = { of: () => WEB, same: async () => true, unknown: WEB };
    const datagrams = new OutboundDatagrams({
      ...parts,
      speakers,
      log,
      files,
      problems,
      callers: { refuses: () => false },
    });
    const listener: BoundListener = await datagrams.bind({ ...call, address });
    this.#closing.push(
      () => listener.close(),
      () => datagrams.close(),
    );
    client.send('ping', PORT, address);
    while (this.#underWay.length === 0) await turn();
  }

  /** `live`: flows at both ends. `over`: of the target's connections, those that have ended. */
  get state() {
    const { opened: targets, over, received } = this.#target;
    const live = this.source.registry.live + this.destination.registry.live;
    return { live, targets, over, unanswered: this.#unanswered, received };
  }

  /** Delivers the next of what is under way; false when nothing is. */
  deliver(): boolean {
    const next = this.#underWay.shift();
    next?.();
    return next !== undefined;
  }

  async deliverAll(): Promise<void> {
    for (let quiet = 0; quiet < 4; quiet++) {
      await turn();
      if (this.deliver()) quiet = 0;
    }
  }

  /** The agent at this end stops, as `run/main-path.ts` does it. */
  stop(end: End): void {
    this[end].registry.stop('the agent stops');
    this.#breakTunnel(end, new TunnelEndedError('shutdown', 'the agent stops'));
  }

  /**
   * What control keeps of the records, of agents that are members: of one flow between two hosts the destination's word, and a
   * verdict that differs beside it.
   */
  heard(revoked = ''): readonly FlowRecord[] {
    const kept: FlowRecord[] = [];
    for (const { host, records } of [this.source, this.destination]) {
      if (host === revoked) continue;
      for (const record of records) {
        const at = kept.findIndex(
          ({ id, destinationHost, verdict }) =>
            id === record.id && destinationHost === record.destinationHost && verdict === record.verdict,
        );
        if (at < 0) kept.push(record);
        else kept[at] = record;
      }
    }
    return kept;
  }

  close(): void {
    for (const close of this.#closing) close();
  }

  #dial<C>(deadline: Deadline, open: () => C): Promise<Opened<C>> {
    return new Promise((resolve, reject) => {
      deadline.onEnd(reject);
      this.#underWay.push(() => {
        if (deadline.over) return;
        this.#target.opened++;
        resolve({ opened: true, conduit: open() });
      });
    });
  }

  /** At this end now, and at the other as soon as it hears of it. */
  #breakTunnel(end: End, cause: TunnelEndedError): void {
    for (const held of [...this.#held]) held.drop(end, cause);
  }

  /** A tunnel that is up at the first delivery, and then one flow in it, as `AgentTunnels` and the mux carry it. */
  #ask<C extends Conduit | DatagramConduit>(
    request: OpenRequest,
    deadline: Deadline,
    pipe: () => [near: C, far: C, fail: (cause: Error) => void],
    offer: (inbound: Inbound<C>) => void,
  ): Promise<Opened<C>> {
    return new Promise((resolve, reject) => {
      const peer = this.destination.netmap.current.peers.get(HOSTS.source);
      if (peer === undefined) throw new TypeError('the caller is no member');
      const at: Record<'asking' | 'asked' | 'broken' | 'gone', boolean> = {
        asking: true,
        asked: false,
        broken: false,
        gone: false,
      };
      let accepted: ReturnType<typeof pipe> | undefined;
      let told: (() => void) | undefined;
      const settle = () => {
        at.asking = false;
        deadline.off(giveUp);
      };
      const say = (what: () => void) => {
        this.#underWay.push(() => {
          if (!at.broken) what();
        });
      };
      const abandon = () => {
        if (accepted !== undefined || at.gone) return;
        at.gone = true;
        told?.();
      };
      const giveUp = (reason: Error) => {
        settle();
        reject(reason);
        if (!at.asked) return;
        const letGo = () =>
          say(() => {
            abandon();
            if (accepted !== undefined) end(accepted[0]);
          });
        if (reason instanceof FlowCutError) afterCut(letGo);
        else letGo();
      };
      const lose = () => {
        if (!at.asking) return;
        settle();
        reject(new UnreachableError('tunnel-lost', 'the tunnel ended'));
      };
      const answered = (answer: () => void) => {
        this.#unanswered--;
        say(() => {
          if (!at.asking) return;
          settle();
          answer();
        });
      };
      this.#held.add({
        drop: (here, cause) => {
          at.broken = true;
          const leave = () => {
            abandon();
            accepted?.[2](cause);
          };
          const [now, later] = here === 'source' ? [lose, leave] : [leave, lose];
          now();
          this.#underWay.push(later);
        },
      });
      deadline.onEnd(giveUp);
      say(() => {
        if (!at.asking) return;
        at.asked = true;
        say(() => {
          this.#unanswered++;
          offer({
            peer,
            request,
            get gone() {
              return at.gone;
            },
            onGone: (listener) => {
              told = listener;
              if (at.gone) listener();
            },
            accept: () => {
              const [near, far, fail] = pipe();
              accepted = [near, far, fail];
              answered(() => resolve({ opened: true, conduit: near }));
              if (at.gone) fail(new Error('the peer gave up'));
              return far;
            },
            refuse: (refusal) => answered(() => resolve({ opened: false, refusal })),
          });
        });
      });
    });
  }
}

function end(conduit: Conduit | DatagramConduit): void {
  if ('reset' in conduit) conduit.reset();
  else conduit.close();
}

/** A listener's address that no other has had: what is on its way to one that closed must not come to the next. */
function newAddress(): string {
  addresses++;
  return `127.${FIRST}.${1 + (addresses >> 7)}.${1 + (addresses & 127)}`;
}

/** Apart from other runs at the same time, and from any agent's range. */
const FIRST = randomInt(20, 60);
let addresses = 0;

const ignoring: ConduitEvents = { data() {}, end() {}, drain() {}, closed() {} };

/** One turn of the event loop, with all its microtasks. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
