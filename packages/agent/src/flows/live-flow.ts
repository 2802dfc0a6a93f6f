/** A flow from its admission to its record. */
import { type FlowOutcome, type FlowRecord, type OpenFlow, type TrafficPair, WIRE_LIMITS } from '@weft/proto';
import { addressGroup } from '@weft/proto/bounds';
import type { Netmap } from '../words/netmap.ts';
import type { Flow, Loss } from './flow.ts';
import type { Caller, FlowRequest, Judged } from './judge.ts';
import type { Pair } from './pairs.ts';
import type { Reporter } from './series.ts';
import type { FlowSpan } from './tracing.ts';
import type { CountedFlow, FlowTraffic } from './traffic.ts';

/** Clocks step: what they make of a length is kept to what can be said. */
const lengthOf = (ms: number): number => Math.min(Math.max(0, ms), WIRE_LIMITS.openFlowAgeMs);

export class LiveFlow implements Flow, CountedFlow, TrafficPair {
  readonly request: FlowRequest;
  readonly caller: Caller | undefined;
  bytesSent = 0;
  bytesReceived = 0;
  outcome: FlowOutcome | undefined;
  handedOver: boolean = false;
  span: FlowSpan | undefined;
  pair: Pair | undefined;
  told: boolean = false;
  severed: boolean = false;
  endedMs: number | undefined;
  readonly #traffic: FlowTraffic | undefined;
  readonly #startedMs: number;
  /** By a clock that shows parts of a millisecond; 0 where nobody asks. */
  readonly #askedAt: number;
  #begun: boolean = false;
  /** Bytes both ways when they were last looked at, and when they were last found to have grown. */
  #seen = 0;
  #movedMs: number;
  /** Bytes both ways when it was last asked whether it is bulk, and since when it may be. */
  #weighed = 0;
  #strode = 0;
  readonly #over: (flow: LiveFlow, outcome: FlowOutcome, detail: string) => void;
  /** What decided last: the permit, then the denial that cut it. Of 10,000 idle flows, nothing that a record does not say. */
  #judged: Judged;
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
    traffic: FlowTraffic | undefined,
    over: (flow: LiveFlow, outcome: FlowOutcome, detail: string) => void,
  ) {
    this.request = request;
    this.#traffic = traffic;
    this.#askedAt = traffic?.timed === true ? performance.now() : 0;
    const { allowed, rule, revision, source, sourceHost, client } = judged;
    this.#judged = { allowed, rule, revision, source, sourceHost, client };
    this.caller = caller;
    this.#startedMs = startedMs;
    this.#movedMs = startedMs;
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

  // --- as it is counted ---

  get source(): string {
    return this.#judged.source;
  }

  get sourceHost(): string {
    return this.#judged.sourceHost;
  }

  get service(): string {
    return this.request.service;
  }

  get destinationHost(): string {
    return this.#destinationHost;
  }

  get reporter(): Reporter {
    return this.request.destinationHost === undefined ? 'source' : 'destination';
  }

  /** `names` where it is to be counted by others than those of its record; of a flow that has not begun. */
  countEnd(outcome: FlowOutcome, nowMs: number, names: TrafficPair = this): void {
    const traffic = this.#traffic;
    if (traffic === undefined) return;
    const { handedOver, reporter } = this;
    if (this.#begun) {
      traffic.ended(this, outcome, Math.max(0, nowMs - this.#startedMs), !handedOver);
      return;
    }
    // One that a destination gave back is its source's alone.
    if (handedOver && reporter === 'destination') return;
    const { rule, revision } = this.#judged;
    const { port, protocol } = this.request;
    traffic.stillborn(names, reporter, !handedOver, outcome, { port, protocol, rule, revision });
  }

  /** See FlowSink. */
  get from(): string | undefined {
    const { peer, claimed } = this.request;
    const { client } = this.#judged;
    if (client !== '') return addressGroup(client);
    return peer ?? (claimed.source === 'internet' ? claimed.source : undefined);
  }

  // --- as it is told while it is open ---

  /** Its caller has its answer, here or where it was handed over to. */
  get isOpen(): boolean {
    return this.#begun && this.live;
  }

  /** Bytes are not stamped as they pass: who looks often knows when they did. */
  look(nowMs: number): void {
    const seen = this.bytesSent + this.bytesReceived;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#movedMs = nowMs;
  }

  /** Bytes both ways for as long as it has moved no fewer than `least` from each time that this was asked to the next. */
  stride(least: number): number {
    const before = this.#weighed;
    this.#weighed = this.bytesSent + this.bytesReceived;
    const moved = this.#weighed - before;
    this.#strode = moved < least ? 0 : this.#strode + moved;
    return this.#strode;
  }

  toOpenFlow(nowMs: number): OpenFlow {
    this.look(nowMs);
    const { id, port, protocol } = this.request;
    const { source, sourceHost, service, destinationHost, bytesSent, bytesReceived } = this;
    return {
      ...{ id, source, sourceHost, service, instance: this.#instance, destinationHost, port, protocol },
      ...{ bytesSent, bytesReceived },
      ageMs: lengthOf(nowMs - this.#startedMs),
      idleMs: lengthOf(nowMs - this.#movedMs),
      ...this.#whoCalls(),
    };
  }

  // --- as it is carried ---

  reached(instance: string, host: string, lost?: (netmap: Netmap) => Loss | undefined): void {
    this.#instance = instance;
    this.#destinationHost = host;
    if (lost !== undefined) this.#lost = lost;
  }

  opened(): void {
    this.span?.end('open', '', this.#instance);
    this.span = undefined;
    if (!this.live || this.#begun) return;
    this.#begun = true;
    this.told = !this.handedOver;
    const setupMs = this.#askedAt === 0 ? 0 : performance.now() - this.#askedAt;
    this.pair = this.#traffic?.began(this, this.reporter, this.told, setupMs);
  }

  handOver(): void {
    this.handedOver = true;
  }

  sever(): void {
    this.handedOver = false;
    this.severed = true;
  }

  onCut(cut: (reason: string) => void): void {
    if (this.#cutReason !== undefined) cut(this.#cutReason);
    else this.#cut = cut;
  }

  end(outcome: FlowOutcome, detail = ''): void {
    if (!this.live) return;
    this.outcome = outcome;
    this.#cut = undefined;
    this.span?.end(outcome, detail, this.#instance);
    this.span = undefined;
    this.#over(this, outcome, detail);
  }

  loss(netmap: Netmap): Loss | undefined {
    return this.#lost?.(netmap);
  }

  /** Recorded first, so that the resets this causes on both sides find the flow already ended. */
  cut(denial: Judged | undefined, reason: string): void {
    if (!this.live) return;
    if (denial !== undefined) {
      // All names are of one time, that of its opening: whoever tells of it puts those of now (recorder.ts).
      const { source, sourceHost, client } = this.#judged;
      this.#judged = { ...denial, source, sourceHost, client };
    }
    const cut = this.#cut;
    this.#cutReason = reason;
    try {
      this.end('cut', reason);
    } finally {
      // Nobody would find it again to do so.
      cut?.(reason);
    }
  }

  /** See Flow. */
  cutAlone(): void {
    if (this.outcome !== 'cut' || !this.handedOver || this.#judged.allowed) return;
    this.handedOver = false;
    this.#over(this, 'cut', this.#cutReason ?? '');
  }

  /** The agent stops. */
  stop(reason: string): void {
    if (this.reporter === 'destination') {
      // The tunnels end with the agent, before a reset gets through: the source sees that, and tells of the failure.
      this.severed = true;
      // What is not open yet may get to another instance, so only the source knows how it ends.
      this.handedOver = !this.#begun;
    }
    this.cut(undefined, reason);
  }

  /** Which process calls, as far as it was looked up here, or told by the host that it is on. */
  #whoCalls(): Pick<FlowRecord, 'user' | 'unit' | 'program'> {
    const { user = this.caller?.user ?? '', unit = '', program = '' } = this.request.owner ?? {};
    return { user, unit, program };
  }

  /** As of its end, or of `nowMs` where it never began. */
  record(nowMs: number, outcome: FlowOutcome, detail: string): FlowRecord {
    const { request } = this;
    const { allowed, rule, revision, source, sourceHost, client } = this.#judged;
    // Not among the fields that records share: no two addresses of the internet are the same.
    const place = request.outside === undefined ? client && `client ${client}` : `to ${request.outside.address}`;
    return {
      id: request.id,
      startedMs: this.#startedMs,
      // A clock set back must not make a negative number, which the wire cannot carry.
      durationMs: Math.max(0, (this.endedMs ?? nowMs) - this.#startedMs),
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
      // The recorder's word, which is the host's.
      zone: '',
      ...this.#whoCalls(),
      detail: [place, detail].filter((part) => part !== '').join(': '),
    };
  }
}
