/**
 * One agent's stream, from its challenge to its end: who it is, what it is sent, what it says. It holds no state of the
 * network; what the agent says goes to the hub, and what the agent should know comes from there.
 */
import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import {
  CAPABILITY,
  capabilityOf,
  type OpenFlows,
  type OpenFlowsQuestion,
  type PlaceOutcome,
  type TriedPlace,
  WIRE_LIMITS,
} from '@weft/proto';
import { openFlowsQuestionToWire, type pb, sentence, triedPlacesToWire, WireError } from '@weft/proto/wire';
import { observedHost } from '../bounds/observed.ts';
import type { Software } from '../fleet/live.ts';
import { openFlowsAnswer, outcomesAnswer, Questions, type TraceOutcome, traceOutcome } from '../fleet/questions.ts';
import type { Authenticated, Refusal } from './authenticate.ts';
import type { Feed } from './feed.ts';
import { FlowAnswers, flowCost } from './flow-intake.ts';

/** The transport below a session: one gRPC call. */
export interface AgentCall {
  /** HOST:PORT that the agent comes from. */
  readonly peer: string;
  /** `done` is called when it has left for the network, or never will. */
  send(message: pb.Outgoing<pb.ControlMessage> | Uint8Array, done?: () => void): void;
  /** Stops handing over what the agent says, so that the agent must wait. */
  pause(): void;
  resume(): void;
  /** The agent is who it says: from here on it may send large messages. */
  proved(): void;
  /** Ends the call after what was sent, or at once when that does not go out within `farewellMs`. */
  finish(code: status, details: string, farewellMs: number): void;
}

/** An agent that is who it says. */
export interface Proved {
  readonly agentId: string;
  readonly software: Software;
}

/** What a session tells the hub. */
export interface AgentStreamEvents {
  /** Whether it is who it says. */
  hello(session: AgentStream, nonce: Uint8Array, hello: pb.Hello): Authenticated;
  /** Takes the session in, `session.admit` called; or gives back a refusal. Throws WireError when it is out of form. */
  standing(session: AgentStream, who: Proved, standing: pb.Standing): Refusal | undefined;
  heard(agentId: string): void;
  ack(agentId: string, ack: pb.Ack): void;
  /** Throws WireError when it is out of form. */
  report(agentId: string, report: pb.Report): void;
  /** `settled` is called once, when all of it is on disk or counted as lost. */
  flows(agentId: string, batch: pb.FlowBatch, settled: () => void): void;
  telemetry(agentId: string, telemetry: pb.Telemetry): void;
  resync(agentId: string, reason: string): void;
  /** Called exactly once, whoever ended it. */
  ended(session: AgentStream): void;
}

export interface AgentStreamOptions {
  readonly events: AgentStreamEvents;
  readonly now: () => number;
  readonly helloMs: number;
  readonly farewellMs: number;
}

/**
 * Messages at once and each second, a pair or peer counting as a twentieth of one: above what an agent has to say, below what
 * would keep control busy. An agent that says more is read more slowly; its own transport makes it wait.
 */
const BURST = 10_000;
const PER_SECOND = 2_000;
const ENTRIES_PER_MESSAGE = 20;
/** Flow records at once and each second, for these are written down; one with long texts counts as several. */
const RECORDS_BURST = 20_000;
const RECORDS_PER_SECOND = 5_000;

export class AgentStream {
  readonly peer: string;
  readonly #call: AgentCall;
  readonly #options: AgentStreamOptions;
  readonly #nonce = new Uint8Array(randomBytes(32));
  readonly #allowance: Allowance;
  readonly #recordAllowance: Allowance;
  readonly #traces = new Questions<TraceOutcome>();
  readonly #openFlows = new Questions<OpenFlows>();
  readonly #tries = new Questions<readonly PlaceOutcome[]>();
  readonly #flowAnswers = new FlowAnswers((sequence, done) => this.send({ flowsTaken: { sequence } }, done));
  readonly #helloTimer: NodeJS.Timeout;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** Who it has proved to be, and has not said yet where it stands. */
  #proved: Proved | undefined;
  #admitted: { readonly agentId: string; readonly feed: Feed } | undefined;
  #run = '';
  #ended: boolean = false;

  constructor(call: AgentCall, options: AgentStreamOptions) {
    this.#call = call;
    this.peer = call.peer;
    this.#options = options;
    this.#allowance = new Allowance(BURST, PER_SECOND, options.now());
    this.#recordAllowance = new Allowance(RECORDS_BURST, RECORDS_PER_SECOND, options.now());
    this.#helloTimer = setTimeout(() => {
      this.end({ code: status.DEADLINE_EXCEEDED, details: `no hello within ${options.helloMs} ms` });
    }, options.helloMs).unref();
    call.send({
      challenge: { nonce: this.#nonce, acknowledgesFlows: true, capability: CAPABILITY, sentMs: options.now() },
    });
  }

  get agentId(): string | undefined {
    return this.#admitted?.agentId;
  }

  /** Names the process that is the agent; empty before its hello. */
  get run(): string {
    return this.#run;
  }

  get feed(): Feed | undefined {
    return this.#admitted?.feed;
  }

  /** The agent is who it says. */
  admit(agentId: string, feed: Feed): void {
    clearTimeout(this.#helloTimer);
    this.#admitted = { agentId, feed };
  }

  send(message: pb.Outgoing<pb.ControlMessage> | Uint8Array, done: () => void): void {
    if (!this.#ended) this.#call.send(message, done);
  }

  receive(message: pb.AgentMessage): void {
    if (this.#ended) return;
    this.#slowDown(message);
    try {
      if (this.#admitted !== undefined) this.#hear(this.#admitted.agentId, message);
      else if (this.#proved !== undefined) this.#place(this.#proved, message);
      else this.#greet(message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.end({ code: status.INVALID_ARGUMENT, details: error.message });
    }
  }

  trace(agentId: string, timeoutMs: number): Promise<TraceOutcome | undefined> {
    return this.#traces.ask(timeoutMs, (id) => this.send({ trace: { id, agentId } }, () => undefined));
  }

  openFlows(asked: OpenFlowsQuestion, timeoutMs: number): Promise<OpenFlows | undefined> {
    return this.#openFlows.ask(timeoutMs, (id) => {
      this.send({ openFlows: openFlowsQuestionToWire(id, asked) }, () => undefined);
    });
  }

  tryPlaces(
    agentId: string,
    places: readonly TriedPlace[],
    timeoutMs: number,
  ): Promise<readonly PlaceOutcome[] | undefined> {
    return this.#tries.ask(timeoutMs, (id) => {
      this.send({ tryPlaces: triedPlacesToWire(id, agentId, places) }, () => undefined);
    });
  }

  /** Ends the stream, with a word on why. */
  end({ code, details, lastWord }: Refusal): void {
    if (this.#ended) return;
    if (lastWord !== undefined) this.#call.send(lastWord);
    this.#call.finish(code, details, this.#options.farewellMs);
    this.closed();
  }

  /** The transport is gone, or about to be. */
  closed(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#resumeTimer);
    this.#admitted?.feed.close();
    this.#traces.close();
    this.#openFlows.close();
    this.#tries.close();
    this.#options.events.ended(this);
  }

  #slowDown({ flows, telemetry, openFlows }: pb.AgentMessage): void {
    const told = (telemetry?.pairs.length ?? 0) + (telemetry?.peers.length ?? 0);
    const entries = told + (openFlows?.flows.length ?? 0);
    const nowMs = this.#options.now();
    const waitMs = Math.max(
      this.#allowance.spend(1 + entries / ENTRIES_PER_MESSAGE, nowMs),
      this.#recordAllowance.spend(flows ? flowCost(flows) : 0, nowMs),
    );
    if (waitMs === 0 || this.#resumeTimer !== undefined) return;
    this.#call.pause();
    this.#resumeTimer = setTimeout(() => {
      this.#resumeTimer = undefined;
      this.#call.resume();
    }, waitMs);
  }

  #greet({ hello }: pb.AgentMessage): void {
    if (!hello) {
      this.end({ code: status.INVALID_ARGUMENT, details: 'hello: must be the first message' });
      return;
    }
    const who = this.#options.events.hello(this, this.#nonce, hello);
    if (!who.accepted) {
      this.end(who.refusal);
      return;
    }
    this.#run = Buffer.from(hello.run.subarray(0, 16)).toString('hex');
    const software = { version: sentence(hello.version, 64), capability: capabilityOf(hello.capability) };
    this.#proved = { agentId: who.agent.id, software };
    this.#call.proved();
    this.#call.send({ welcome: { observedHost: observedHost(this.peer) } });
  }

  #place(who: Proved, { standing }: pb.AgentMessage): void {
    if (!standing) {
      this.end({ code: status.INVALID_ARGUMENT, details: 'standing: must follow the welcome' });
      return;
    }
    const refusal = this.#options.events.standing(this, who, standing);
    if (refusal !== undefined) this.end(refusal);
  }

  #hear(agentId: string, message: pb.AgentMessage): void {
    const { events } = this.#options;
    events.heard(agentId);
    if (message.ack) events.ack(agentId, message.ack);
    else if (message.report) events.report(agentId, message.report);
    else if (message.flows) {
      events.flows(agentId, message.flows, this.#flowAnswers.expect(message.flows.sequence));
    } else if (message.resync) events.resync(agentId, message.resync.reason.slice(0, WIRE_LIMITS.sentence));
    else if (message.telemetry) events.telemetry(agentId, message.telemetry);
    else if (message.trace) this.#traces.answered(message.trace, traceOutcome);
    else if (message.openFlows) this.#openFlows.answered(message.openFlows, openFlowsAnswer);
    else if (message.tryPlaces) this.#tries.answered(message.tryPlaces, outcomesAnswer);
    else if (message.hello) this.end({ code: status.INVALID_ARGUMENT, details: 'hello: was given before' });
    else if (message.standing) this.end({ code: status.INVALID_ARGUMENT, details: 'standing: was given before' });
    // Anything else is of a newer agent, and nothing to this control.
  }
}

/** How much one agent may have control do: much at once, less for long. */
export class Allowance {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #atMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** Takes `cost`, which may be more than there is, and says how many milliseconds pay it back; 0 when nothing is owed. */
  spend(cost: number, nowMs: number): number {
    // A clock that was set back gives nothing and takes nothing.
    const elapsed = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#left = Math.min(this.#burst, this.#left + elapsed * this.#perMs) - cost;
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#perMs);
  }
}
