/**
 * Every live flow of this agent: registered and checked in one step, checked again at each change of the netmap, cut at
 * once when it lost its permission, and recorded exactly once when it ends.
 */
import { type Denied, type FlowOutcome, type FlowRecord, type Permit, type Protocol, sourceName } from '@weft/proto';
import type { Netmap, NetmapSource } from '../netmap/types.ts';
import type { FlowSink } from '../observe/types.ts';
import type { Caller } from './source.ts';

/** What a flow asks for, and how its caller is told. The functions are asked at the opening and after each change. */
export interface FlowRequest {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly protocol: Protocol;
  readonly service: string;
  readonly port: number;
  /** Id of the agent that asks, when it is another than this: no peer may use up what all share. */
  readonly peer?: string;
  /** How caller and host are written when `identify` does not believe the claim. */
  readonly claimed: { readonly source: string; readonly host: string };
  /** This host's name at the destination, where a flow that is denied has got to as well. Control takes records of no other host. */
  readonly destinationHost?: string;
  /** Undefined when the caller may not speak as it claims. */
  identify(netmap: Netmap): Caller | undefined;
  /** What else must stand for the flow to go on, such as its peer. Undefined when all of it does. */
  lost?(netmap: Netmap): Loss | undefined;
}

/** What a flow stood on is gone, though the policy would permit it. */
export interface Loss {
  readonly reason: string;
  /** Who is left to tell of it: `here` also when the flow had been handed over to the destination. */
  readonly witness: 'here' | 'destination';
}

/** Why a flow was not let in, with the words its record carries. */
export type FlowRefusal = Pick<Denied, 'rule' | 'revision' | 'reason'> & { readonly code: 'denied' | 'overloaded' };

export type Admission =
  | { readonly admitted: true; readonly flow: Flow; readonly permit: Permit; readonly caller: Caller }
  | { readonly admitted: false; readonly refusal: FlowRefusal };

/** A live flow. Whoever carries it counts its bytes, tells where it went, and ends it. */
export interface Flow {
  readonly id: string;
  /** Payload bytes from the caller to the service, and back. Advanced by the byte path. */
  bytesSent: number;
  bytesReceived: number;
  /** False once it has ended or was cut. */
  readonly live: boolean;
  /** How it ended; undefined while it is live. */
  readonly outcome: FlowOutcome | undefined;
  /** The instance that answered, such as redis/0, and its host. */
  reached(instance: string, host: string, lost?: (netmap: Netmap) => Loss | undefined): void;
  /** The destination agent has the flow now, and with it the duty to record. */
  handOver(): void;
  /**
   * The destination agent went away with the flow, and may never tell of it: the record is written here as well. Should
   * both tell, control keeps the destination's.
   */
  takeBack(): void;
  /** Called once when the flow loses its permission, or at once when it has already. Ended flows are not cut. */
  onCut(cut: (reason: string) => void): void;
  /** Takes the flow off the registry and records it. Later calls do nothing. */
  end(outcome: FlowOutcome, detail?: string): void;
}

export interface RegistryOptions {
  readonly netmap: NetmapSource;
  readonly sink: FlowSink;
  /** Live flows over this number are refused as overloaded. */
  readonly limit?: number;
  /** The same for flows that one peer has opened here. */
  readonly peerLimit?: number;
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number;
}

const DEFAULT_LIMIT = 50_000;
/** As many as fit one tunnel. */
const DEFAULT_PEER_LIMIT = 16_384;

export class FlowRegistry {
  readonly #netmap: NetmapSource;
  readonly #sink: FlowSink;
  readonly #limit: number;
  readonly #peerLimit: number;
  readonly #now: () => number;
  readonly #flows = new Set<LiveFlow>();
  /** Live flows that peers have opened here, by agent id. */
  readonly #byPeer = new Map<string, number>();

  constructor(options: RegistryOptions) {
    this.#netmap = options.netmap;
    this.#sink = options.sink;
    this.#limit = options.limit ?? DEFAULT_LIMIT;
    this.#peerLimit = options.peerLimit ?? DEFAULT_PEER_LIMIT;
    this.#now = options.now ?? Date.now;
    this.#netmap.subscribe((next) => this.#recheck(next));
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
    const startedMs = this.#now();
    const judged = judge(this.#netmap.current, request);
    if (!judged.allowed) return this.#refuse(request, judged, startedMs, 'denied');
    const full = this.#full(request);
    if (full !== undefined) return this.#refuse(request, { ...judged, reason: full }, startedMs, 'overloaded');
    const { permit, caller } = judged;
    const flow = new LiveFlow(request, judged, caller, startedMs, (ended, outcome, detail) => {
      this.#flows.delete(ended);
      this.#count(request.peer, -1);
      if (!ended.handedOver) this.#sink.record(ended.record(this.#now(), outcome, detail));
    });
    this.#flows.add(flow);
    this.#count(request.peer, 1);
    return { admitted: true, flow, permit, caller };
  }

  /** Cuts every live flow: the agent stops. */
  cutAll(reason: string): void {
    for (const flow of this.#flows) flow.cut(undefined, reason);
  }

  /** Why no more flows are taken, if so. */
  #full({ peer, claimed }: FlowRequest): string | undefined {
    if (this.#flows.size >= this.#limit) return `this agent already carries ${this.#limit} flows, and takes no more`;
    if (peer === undefined || (this.#byPeer.get(peer) ?? 0) < this.#peerLimit) return undefined;
    return `this agent already carries ${this.#peerLimit} flows of ${claimed.host}, and takes no more of them`;
  }

  #count(peer: string | undefined, change: 1 | -1): void {
    if (peer === undefined) return;
    const count = (this.#byPeer.get(peer) ?? 0) + change;
    if (count > 0) this.#byPeer.set(peer, count);
    else this.#byPeer.delete(peer);
  }

  #refuse(request: FlowRequest, judged: Judged, startedMs: number, code: FlowRefusal['code']): Admission {
    const { rule, revision, reason } = judged;
    // What is too much for this destination another instance may still take, and the source tells of that.
    if (code === 'denied' || request.destinationHost === undefined) {
      const unborn = new LiveFlow(request, judged, undefined, startedMs, () => {});
      this.#sink.record(unborn.record(this.#now(), code, reason));
    }
    return { admitted: false, refusal: { code, rule, revision, reason } };
  }

  #recheck(netmap: Netmap): void {
    const failures: unknown[] = [];
    for (const flow of this.#flows) {
      try {
        recheckFlow(netmap, flow);
      } catch (error) {
        // The others must be judged still: one that fails to end is no reason to leave those open.
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'flows could not be cut in order');
  }
}

function recheckFlow(netmap: Netmap, flow: LiveFlow): void {
  const judged = judge(netmap, flow.request, flow.caller);
  if (!judged.allowed) {
    flow.cut(judged, judged.reason);
    return;
  }
  const loss = flow.loss(netmap);
  if (loss === undefined) return;
  if (loss.witness === 'here') flow.handedOver = false;
  flow.cut(undefined, loss.reason);
}

interface Judged {
  readonly allowed: boolean;
  readonly rule: string;
  readonly revision: number;
  readonly reason: string;
  /** As in records: `web`, `host:build-3` or `internet`. */
  readonly source: string;
  readonly sourceHost: string;
  readonly client: string;
}

type JudgedPermit = Judged & { readonly allowed: true; readonly permit: Permit; readonly caller: Caller };
type JudgedDenied = Judged & { readonly allowed: false };

/**
 * Identify, then decide: the only way a flow comes to a Permit. `known` is who a live flow's caller was. A peer that
 * nothing is permitted to any more also leaves the netmap, and then the rule that took the permission says more than the
 * missing peer does.
 */
function judge(netmap: Netmap, request: FlowRequest, known?: Caller): JudgedPermit | JudgedDenied {
  const { source: claimedSource, host } = request.claimed;
  const revision = netmap.revision;
  const caller = request.identify(netmap);
  if (caller === undefined) {
    const bygone = known === undefined ? undefined : decide(netmap, request, known);
    if (bygone?.allowed === false) return bygone;
    const reason = `${host === '' ? 'the caller' : host} may not speak as ${claimedSource}`;
    const claimed = { source: claimedSource, sourceHost: host, client: '' };
    return { allowed: false, rule: 'builtin:source', revision, reason, ...claimed };
  }
  return decide(netmap, request, caller);
}

function decide(netmap: Netmap, request: FlowRequest, caller: Caller): JudgedPermit | JudgedDenied {
  const named = { source: sourceName(caller.source), sourceHost: caller.host, client: caller.client };
  const known = netmap.services.get(request.service);
  if (known === undefined) {
    const reason = `there is no service ${request.service} in this network`;
    return { allowed: false, rule: 'builtin:no-such-service', revision: netmap.revision, reason, ...named };
  }
  const { service } = known;
  const verdict = netmap.policy.decide(caller.source, { service, port: request.port, protocol: request.protocol });
  const { rule, revision, reason } = verdict;
  if (!verdict.allowed) return { allowed: false, rule, revision, reason, ...named };
  return { allowed: true, rule, revision, reason, ...named, permit: verdict, caller };
}

class LiveFlow implements Flow {
  readonly request: FlowRequest;
  readonly caller: Caller | undefined;
  bytesSent = 0;
  bytesReceived = 0;
  outcome: FlowOutcome | undefined;
  handedOver: boolean = false;
  readonly #startedMs: number;
  readonly #over: (flow: LiveFlow, outcome: FlowOutcome, detail: string) => void;
  /** What decided last: the permit, then the denial that cut it. Of 10,000 idle flows, nothing that a record does not say. */
  #judged: Omit<Judged, 'reason'>;
  #instance = '';
  #destinationHost: string;
  #lost: ((netmap: Netmap) => Loss | undefined) | undefined;
  #cut: ((reason: string) => void) | undefined;
  #cutReason: string | undefined;

  constructor(
    request: FlowRequest,
    judged: Judged,
    caller: Caller | undefined,
    startedMs: number,
    over: (flow: LiveFlow, outcome: FlowOutcome, detail: string) => void,
  ) {
    this.request = request;
    const { allowed, rule, revision, source, sourceHost, client } = judged;
    this.#judged = { allowed, rule, revision, source, sourceHost, client };
    this.caller = caller;
    this.#startedMs = startedMs;
    this.#over = over;
    this.#lost = request.lost?.bind(request);
    this.#destinationHost = request.destinationHost ?? '';
  }

  get live(): boolean {
    return this.outcome === undefined;
  }

  get id(): string {
    return this.request.id;
  }

  reached(instance: string, host: string, lost?: (netmap: Netmap) => Loss | undefined): void {
    this.#instance = instance;
    this.#destinationHost = host;
    if (lost !== undefined) this.#lost = lost;
  }

  handOver(): void {
    this.handedOver = true;
  }

  takeBack(): void {
    this.handedOver = false;
  }

  onCut(cut: (reason: string) => void): void {
    if (this.#cutReason !== undefined) cut(this.#cutReason);
    else this.#cut = cut;
  }

  end(outcome: FlowOutcome, detail = ''): void {
    if (!this.live) return;
    this.outcome = outcome;
    this.#cut = undefined;
    this.#over(this, outcome, detail);
  }

  loss(netmap: Netmap): Loss | undefined {
    return this.#lost?.(netmap);
  }

  /** Recorded first, so that the resets this causes on both sides find the flow already ended. */
  cut(denial: Judged | undefined, reason: string): void {
    if (!this.live) return;
    if (denial !== undefined) this.#judged = { ...denial, source: this.#judged.source, client: this.#judged.client };
    const cut = this.#cut;
    this.#cutReason = reason;
    this.end('cut', reason);
    cut?.(reason);
  }

  record(nowMs: number, outcome: FlowOutcome, detail: string): FlowRecord {
    const { request } = this;
    const { allowed, rule, revision, source, sourceHost, client } = this.#judged;
    return {
      id: request.id,
      startedMs: this.#startedMs,
      // A clock set back must not make a negative number, which the wire cannot carry.
      durationMs: Math.max(0, nowMs - this.#startedMs),
      source,
      sourceHost,
      service: request.service,
      instance: this.#instance,
      destinationHost: this.#destinationHost,
      port: request.port,
      protocol: request.protocol,
      verdict: allowed ? 'allow' : 'deny',
      rule,
      revision,
      outcome,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      detail: client === '' ? detail : `client ${client}${detail === '' ? '' : `: ${detail}`}`,
    };
  }
}
