/**
 * Every live flow of this agent: registered and checked in one step, checked again at each change of the netmap, cut at
 * once when it lost its permission, and recorded exactly once when it ends.
 */
import type { Denied, FlowOutcome, OpenFlows, OpenFlowsQuestion, Permit, TrafficPair } from '@weft/proto';
import type { Netmap, NetmapSource } from '../words/netmap.ts';
import type { Flow } from './flow.ts';
import {
  type Caller,
  type FlowRequest,
  isOutside,
  type Judged,
  judge,
  judgeOutside,
  type OutsideRequest,
} from './judge.ts';
import { LiveFlow } from './live-flow.ts';
import { openFlows } from './open-flows.ts';
import type { FlowSink } from './recorder.ts';
import { OTHER } from './series.ts';
import { servedElsewhere } from './served-elsewhere.ts';
import type { FlowSpan, FlowTracer } from './tracing.ts';
import type { FlowTraffic } from './traffic.ts';

export type { Flow, Loss } from './flow.ts';
export type { FlowRequest } from './judge.ts';

/** Why a flow was not let in, with the words its record carries. */
export type FlowRefusal = Pick<Denied, 'rule' | 'revision' | 'reason'> & { readonly code: 'denied' | 'overloaded' };

interface Refused {
  readonly admitted: false;
  readonly refusal: FlowRefusal;
}

export type Admission =
  | { readonly admitted: true; readonly flow: Flow; readonly permit: Permit; readonly caller: Caller }
  | Refused;

/** Of a call that leaves the mesh: nothing here lets it into a service. */
export type OutsideAdmission = { readonly admitted: true; readonly flow: Flow } | Refused;

/** Of flows, see `moving`. */
export interface Moving {
  readonly much: number;
  readonly less: number;
}

interface Begun {
  readonly startedMs: number;
  readonly span: FlowSpan | undefined;
}

export interface RegistryOptions {
  readonly netmap: NetmapSource;
  readonly sink: FlowSink;
  /** Where flows are counted as they begin and end. */
  readonly traffic?: FlowTraffic;
  /** Where openings are traced. */
  readonly tracer?: FlowTracer | undefined;
  /** Live flows over this number are refused as overloaded. */
  readonly limit?: number;
  /** The same for flows that one peer has opened here. */
  readonly peerLimit?: number;
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number;
}

/** Of an agent; of one peer as many as fit one tunnel. */
export const FLOW_BOUNDS = { limit: 50_000, peerLimit: 16_384 };
const DEFAULTS = { ...FLOW_BOUNDS, now: Date.now };

export class FlowRegistry {
  readonly #options: RegistryOptions & Required<Pick<RegistryOptions, keyof typeof DEFAULTS>>;
  readonly #flows = new Set<LiveFlow>();
  /** Live flows that peers have opened here, by agent id. */
  readonly #byPeer = new Map<string, number>();
  /** See LastOver in protocol/mux. */
  readonly #last: { judged: Judged | undefined } = { judged: undefined };
  #stopped: boolean = false;
  /** What tells of those that have ended before it was known which process called. */
  readonly #unnamed = new Set<() => void>();
  #leaving: boolean = false;

  constructor(options: RegistryOptions) {
    this.#options = { ...DEFAULTS, ...options };
    options.traffic?.follow(this.#flows);
    options.netmap.subscribe('flows', (next) => this.#recheck(next));
  }

  /** How many flows are live. */
  get live(): number {
    return this.#flows.size;
  }

  /**
   * Registers a flow and checks it, with nothing in between: a change that comes later finds the flow here. One that is
   * not admitted has been recorded, unless a destination was too busy for it: then its source is left to record it.
   */
  open(request: FlowRequest): Admission {
    const begun = this.#begin(request);
    const judged = judge(this.#options.netmap.current, request);
    begun.span?.judged(judged);
    if (!judged.allowed) return this.#refuse(request, judged, begun, 'denied');
    const { permit, caller } = judged;
    this.#last.judged = judged;
    const flow = this.#enter(request, judged, caller, begun);
    return flow instanceof LiveFlow ? { admitted: true, flow, permit, caller } : flow;
  }

  /** The same of a call that leaves the mesh. */
  openOutside(request: OutsideRequest): OutsideAdmission {
    const begun = this.#begin(request);
    const judged = judgeOutside(this.#options.netmap.current, request);
    begun.span?.judged(judged);
    if (!judged.allowed) return this.#refuse(request, judged, begun, 'denied');
    const flow = this.#enter(request, judged, judged.caller, begun);
    return flow instanceof LiveFlow ? { admitted: true, flow } : flow;
  }

  #begin(request: FlowRequest): Begun {
    const { tracer, now } = this.#options;
    return { startedMs: now(), span: tracer?.begin(request) };
  }

  #enter(request: FlowRequest, judged: Judged, caller: Caller, begun: Begun): LiveFlow | Refused {
    const { traffic, now } = this.#options;
    const full = this.#full(request);
    if (full !== undefined) return this.#refuse(request, { ...judged, reason: full }, begun, 'overloaded');
    const flow = new LiveFlow(request, judged, caller, begun.startedMs, traffic, (ended, outcome, detail) => {
      const nowMs = now();
      if (this.#flows.delete(ended)) {
        ended.endedMs = nowMs;
        this.#count(request.peer, -1);
        ended.countEnd(outcome, nowMs);
      }
      if (!ended.handedOver) this.#record(ended, nowMs, outcome, detail);
    });
    flow.span = begun.span;
    this.#flows.add(flow);
    this.#count(request.peer, 1);
    return flow;
  }

  /** To be called every few seconds: an open flow's last byte is told by what was seen. */
  look(): void {
    const nowMs = this.#options.now();
    for (const flow of this.#flows) flow.look(nowMs);
  }

  /** How many flows keep on moving `least` from one such question to the next: those that have moved `much` so, and those that have not yet. */
  moving(least: number, much: number): Moving {
    const moving = { much: 0, less: 0 };
    for (const flow of this.#flows) {
      const bytes = flow.stride(least);
      if (bytes >= much) moving.much += 1;
      else if (bytes > 0) moving.less += 1;
    }
    return moving;
  }

  openFlows(asked: OpenFlowsQuestion): OpenFlows {
    return openFlows(this.#flows, asked, this.#options.now());
  }

  /** Whether peers' calls are refused that another instance can take. */
  leave(leaving: boolean): void {
    this.#leaving = leaving;
  }

  /** Cuts every live flow, and takes no more: the agent stops. Throws AggregateError when all are, where one failed to end in order. */
  stop(reason: string): void {
    this.#stopped = true;
    // None is left for one that fails: the kernel would close it as if all had been said.
    const cut = Array.from(this.#flows, (flow) => () => flow.stop(reason));
    const failures = [...cut, ...this.#unnamed].flatMap(failureOf);
    if (failures.length > 0) throw new AggregateError(failures, 'flows could not be cut in order');
  }

  /** Why no more flows are taken, if so. */
  #full(request: FlowRequest): string | undefined {
    const { peer, claimed, full } = request;
    const left = peer !== undefined && this.#leaving && servedElsewhere(this.#options.netmap.current, request);
    if (this.#stopped || left) return 'this agent stops';
    if (full !== undefined) return full;
    const { limit, peerLimit } = this.#options;
    if (this.#flows.size >= limit) return `this agent already carries ${limit} flows, and takes no more`;
    if (peer === undefined || (this.#byPeer.get(peer) ?? 0) < peerLimit) return undefined;
    return `this agent already carries ${peerLimit} flows of ${claimed.host}, and takes no more of them`;
  }

  #count(peer: string | undefined, change: 1 | -1): void {
    if (peer === undefined) return;
    const count = (this.#byPeer.get(peer) ?? 0) + change;
    if (count > 0) this.#byPeer.set(peer, count);
    else this.#byPeer.delete(peer);
  }

  #refuse(
    request: FlowRequest,
    judged: Judged & { readonly reason: string },
    { startedMs, span }: Begun,
    code: FlowRefusal['code'],
  ): Refused {
    const { rule, revision, reason } = judged;
    span?.end(code, reason, '');
    // What is too much for this destination another instance may still take, and the source tells of that.
    if (code === 'denied' || request.destinationHost === undefined) {
      const { netmap, traffic, now } = this.#options;
      const unborn = new LiveFlow(request, judged, undefined, startedMs, traffic, () => {});
      unborn.countEnd(code, startedMs, countedAs(netmap.current, unborn, rule, request.outside !== undefined));
      this.#record(unborn, now(), code, reason);
    }
    return { admitted: false, refusal: { code, rule, revision, reason } };
  }

  /** Once it is known which process called, where that is looked for still; what ends with the agent waits for nothing. */
  #record(ended: LiveFlow, nowMs: number, outcome: FlowOutcome, detail: string): void {
    const naming = ended.request.owner?.naming;
    const tell = (): void => this.#options.sink.record(ended.record(nowMs, outcome, detail), ended.from);
    if (naming === undefined || this.#stopped) {
      tell();
      return;
    }
    const once = (): void => {
      if (this.#unnamed.delete(once)) tell();
    };
    this.#unnamed.add(once);
    void naming.then(once);
  }

  #recheck(netmap: Netmap): void {
    const failures: unknown[] = [];
    for (const flow of this.#flows) {
      try {
        recheckFlow(netmap, flow);
      } catch (error) {
        // The others must be judged still: one that fails to end is no reason to leave those open.
        failures.push(error, ...failureOf(() => flow.cut(undefined, 'it could not be judged by the policy of now')));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'flows could not be cut in order');
  }
}

/**
 * Names that a refused flow is counted by. Who is refused may claim any source and ask for any service: what it makes up must
 * not take the room of what there is, so it is counted as the host that it came from, and as a service of no name.
 */
function countedAs({ services }: Netmap, names: TrafficPair, rule: string, outside: boolean): TrafficPair {
  const { source, sourceHost, service, destinationHost } = names;
  return {
    source: rule === 'builtin:source' ? `host:${sourceHost}` : source,
    sourceHost,
    service: outside || services.has(service) ? service : OTHER,
    destinationHost,
  };
}

function failureOf(step: () => void): readonly unknown[] {
  try {
    step();
    return [];
  } catch (error) {
    return [error];
  }
}

function recheckFlow(netmap: Netmap, flow: LiveFlow): void {
  const { request, caller } = flow;
  const judged = isOutside(request) ? judgeOutside(netmap, request, caller) : judge(netmap, request, caller);
  if (!judged.allowed) {
    flow.cut(judged, judged.reason);
    return;
  }
  const loss = flow.loss(netmap);
  if (loss === undefined) return;
  if (loss.witness === 'here') flow.handedOver = false;
  flow.cut(undefined, loss.reason);
}
