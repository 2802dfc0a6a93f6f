/** The agents' end of control: streams come in here, and what state and reports change goes out to them. */
import { status } from '@grpc/grpc-js';
import {
  entryOf,
  type OpenFlows,
  type OpenFlowsQuestion,
  type PlaceOutcome,
  type Report,
  type Telemetry,
  type TriedPlace,
} from '@weft/proto';
import { Admission, LineLimit } from '@weft/proto/bounds';
import { type pb, reportFromWire, standingFromWire, telemetryFromWire, WireError } from '@weft/proto/wire';
import { FailureCounter } from '../bounds/failures.ts';
import { observedHost } from '../bounds/observed.ts';
import { Fleet } from '../fleet/fleet.ts';
import { NO_MEMORY } from '../fleet/memory.ts';
import type { OpenFlowsAsker, PathTracer, PlaceTrier, TraceOutcome } from '../fleet/questions.ts';
import { EMPTY_REPORT } from '../fleet/report.ts';
import { TIMING, type Timing } from '../fleet/timing.ts';
import { PartDifferences } from '../netmap/agent-view.ts';
import { ReadableParts } from '../netmap/readable.ts';
import type { AgentState, State, StateChange } from '../state/types.ts';
import { type AgentCall, AgentStream, type AgentStreamEvents, type Proved } from './agent-stream.ts';
import { type Authenticated, authenticate, ended, held, type Refusal } from './authenticate.ts';
import { Distributor } from './distributor.ts';
import { DuelReferee } from './duels.ts';
import { Entering } from './entering.ts';
import { Feed, type Standing } from './feed.ts';
import { acceptFlows } from './flow-intake.ts';
import type { HubOptions } from './hub-options.ts';
import { NewestGate } from './newest-gate.ts';
import { OlderDataGuard } from './older-data.ts';

/** Streams that have not proved yet whose they are. */
const UNPROVED_STREAMS = { most: 4_096, mostOfOne: 1_024 };
/** Complaints that one stranger's address, or one agent, can have logged: it must not fill the disk. */
const COMPLAINTS = { failures: 20, windowMs: 60_000, remembered: 1_024 };

interface ConnectedMember {
  readonly host: string;
  readonly session: AgentStream;
  readonly feed: Feed;
  readonly reports: NewestGate<Report>;
  readonly telemetry: NewestGate<{ readonly telemetry: Telemetry; readonly receivedMs: number }>;
}

const RENAMED: Refusal = {
  code: status.ABORTED,
  details: 'this agent has another name now, by which it is known from its next stream on',
};
const REPLACED: Refusal = { code: status.ABORTED, details: 'replaced by a newer stream of this agent' };
const NOT_NOW = 'control serves no agent for now: an operator has to see to its data';

export class Hub implements PathTracer, OpenFlowsAsker, PlaceTrier {
  /** How agents fare, by what they say here. */
  readonly fleet: Fleet;
  readonly #options: HubOptions;
  readonly #timing: Timing;
  readonly #memory = new PartDifferences();
  readonly #admission = new Admission(UNPROVED_STREAMS);
  readonly #complaints: FailureCounter;
  readonly #lines: LineLimit;
  readonly #distributor: Distributor;
  readonly #duels: DuelReferee;
  readonly #olderData: OlderDataGuard;
  readonly #sessions = new Set<AgentStream>();
  /** Agents connected now, by network and agent id. */
  readonly #members = new Map<string, Map<string, ConnectedMember>>();
  readonly #entering = new Entering();
  readonly #unsubscribe: () => void;
  #closed: boolean = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    const { state, logger, now, memory, observer } = options;
    this.#complaints = new FailureCounter(COMPLAINTS, now);
    this.#lines = new LineLimit(now);
    this.#distributor = new Distributor({
      state,
      logger,
      readable: new ReadableParts(options.words),
      controlAddresses: options.controlAddresses ?? [],
      gatherMs: this.#timing.gatherMs,
      sliceMs: this.#timing.sliceMs,
      feeds: (network) => this.#feeds(network),
    });
    this.fleet = new Fleet(state.current, {
      timing: this.#timing,
      now,
      memory: memory ?? NO_MEMORY,
      onPresence: (agent, presence) => this.#distributor.show(agent, presence),
      onForgotten: (agentId) => this.#forget(agentId),
      onEnforced: (afterMs) => observer?.enforced(afterMs),
    });
    this.#duels = new DuelReferee(this.fleet, options);
    this.#olderData = new OlderDataGuard({
      ...options,
      complaints: this.#complaints,
      onFound: (refusal) => this.#holdOffAll(refusal),
    });
    this.#unsubscribe = state.subscribe((next, previous, change) => this.#changed(next, previous, change));
  }

  /** A stream was opened. Undefined when there are too many; the call has been ended then. */
  open(call: AgentCall): AgentStream | undefined {
    let opened: AgentStream | undefined;
    const evict = (): void => opened?.end({ code: status.RESOURCE_EXHAUSTED, details: 'made room for a newer stream' });
    const seat = this.#closed ? undefined : this.#admission.enter(observedHost(call.peer), evict);
    if (seat === undefined) {
      const details = this.#closed ? 'control is stopping' : 'too many streams without a hello; try again later';
      call.finish(this.#closed ? status.UNAVAILABLE : status.RESOURCE_EXHAUSTED, details, this.#timing.farewellMs);
      return undefined;
    }
    const session = new AgentStream(call, {
      events: this.#events(() => seat.leave()),
      now: this.#options.now,
      helloMs: this.#timing.helloMs,
      farewellMs: this.#timing.farewellMs,
    });
    opened = session;
    this.#sessions.add(session);
    return session;
  }

  /** It has become a member. */
  joined(agentId: string, capability: number): void {
    this.fleet.joined(agentId, capability);
  }

  trace(fromAgentId: string, toAgentId: string, timeoutMs: number): Promise<TraceOutcome | undefined> {
    return this.#member(fromAgentId)?.session.trace(toAgentId, timeoutMs) ?? Promise.resolve(undefined);
  }

  openFlows(agentId: string, asked: OpenFlowsQuestion, timeoutMs: number): Promise<OpenFlows | undefined> {
    return this.#member(agentId)?.session.openFlows(asked, timeoutMs) ?? Promise.resolve(undefined);
  }

  async tryPlaces(
    fromAgentId: string,
    agentId: string,
    places: readonly TriedPlace[],
    timeoutMs: number,
  ): Promise<readonly PlaceOutcome[] | undefined> {
    return this.#member(fromAgentId)?.session.tryPlaces(agentId, places, timeoutMs);
  }

  /** Ends every stream; agents keep what they hold. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    this.#distributor.close();
    // Before the streams end, which would make everyone who is behind look gone.
    this.fleet.stopWaiting();
    for (const session of [...this.#sessions]) {
      session.end({ code: status.UNAVAILABLE, details: 'control is stopping' });
    }
    this.fleet.close();
  }

  #events(leave: () => void): AgentStreamEvents {
    return {
      hello: (session, nonce, hello) => this.#hello(session, nonce, hello),
      standing: (session, who, standing) => this.#stands(session, who, standing, leave),
      heard: (agentId) => this.fleet.heard(agentId),
      ack: (agentId, ack) => this.#acknowledged(agentId, ack),
      report: (agentId, report) => this.#reported(agentId, report),
      flows: (agentId, batch, settled) => this.#flows(agentId, batch, settled),
      telemetry: (agentId, telemetry) => this.#moved(agentId, telemetry),
      resync: (agentId, reason) => this.#resync(agentId, reason),
      ended: (session) => {
        leave();
        this.#ended(session);
      },
    };
  }

  #hello(session: AgentStream, nonce: Uint8Array, hello: pb.Hello): Authenticated {
    this.#options.observer?.message('hello');
    const { state, pin, logger } = this.#options;
    const proved = authenticate(state, { nonce, pin }, hello);
    const older = this.#olderData.refuse(hello, proved.accepted ? proved.agent.host : undefined, session.peer);
    // Who has not proved to be a member is told that, and of no host.
    const refusal = proved.accepted
      ? (older ?? this.#refuseBeyond(proved.agent.id))
      : older && state.olderData && held(NOT_NOW);
    const who = refusal === undefined ? proved : ({ accepted: false, refusal } as const);
    if (!who.accepted) {
      const [agentId, why] = [hello.agentId.slice(0, 64), who.refusal.details];
      if (proved.accepted) this.fleet.heldOff(agentId, why);
      if (!this.#complaints.note(observedHost(session.peer))) {
        logger.warn({ event: 'hello-refused', peer: session.peer, agent: agentId, why }, 'hello refused');
      }
      return who;
    }
    this.#entering.add(who.agent.id, session)?.end(REPLACED);
    return who;
  }

  /** An agent that has a place already comes back to it. */
  #refuseBeyond(agentId: string): Refusal | undefined {
    if (this.#member(agentId) !== undefined || this.#entering.has(agentId)) return undefined;
    let places = this.#entering.size;
    for (const members of this.#members.values()) places += members.size;
    const { mostAgents } = this.#options;
    if (places < mostAgents) return undefined;
    return held(
      `control may have too few files open for more than the ${mostAgents} agents that it serves; ` +
        'raise its limit (ulimit -n, or LimitNOFILE= in the unit) and restart control',
    );
  }

  #stands(
    session: AgentStream,
    { agentId, software }: Proved,
    said: pb.Standing,
    leave: () => void,
  ): Refusal | undefined {
    this.#options.observer?.message('standing');
    const { state } = this.#options;
    // It may have ended since it proved who it is.
    const agent = state.current.networks.get(state.current.agents.get(agentId) ?? '')?.agents.get(agentId);
    if (agent === undefined) return ended(state.endedAgent(agentId)?.reason ?? 'the membership ended');
    const holder = this.#member(agentId)?.session;
    const refusal = this.#olderData.refusal() ?? this.#duels.refuse(agent, holder, session);
    if (refusal !== undefined) return refusal;
    const standing = standingFromWire(said);
    const report = said.report ? reportFromWire(said.report) : EMPTY_REPORT;
    leave();
    const { capability } = software;
    this.#takeIn(session, agent, { index: standing.index, inventory: digestsOf(standing), capability }, () => {
      this.fleet.connected(agentId, software, report, observedHost(session.peer));
    });
    return undefined;
  }

  #holdOffAll(refusal: Refusal): void {
    for (const session of [...this.#sessions]) {
      const { agentId } = session;
      if (agentId === undefined) continue;
      session.end(refusal);
      this.fleet.heldOff(agentId, refusal.details);
    }
  }

  #takeIn(session: AgentStream, agent: AgentState, standing: Standing, connect: () => void): void {
    const { id, network, host } = agent;
    const { timeline, receipts } = this.#options;
    const older = this.#member(id);
    this.#entering.took(id, session);
    const feed = new Feed(
      {
        timeline,
        receipt: (revision) => receipts.of(timeline, revision),
        memory: this.#memory,
        resyncMs: this.#timing.resyncMs,
        send: (message, done) => session.send(message, done),
      },
      standing,
    );
    const { reportMs, telemetryMs } = this.#timing;
    const member: ConnectedMember = {
      host,
      session,
      feed,
      reports: new NewestGate(reportMs, (report) => this.fleet.reported(id, report)),
      telemetry: new NewestGate(telemetryMs, ({ telemetry, receivedMs }) => {
        this.fleet.moved(id, telemetry, receivedMs);
        this.#options.traffic.take(network, host, telemetry);
      }),
    };
    session.admit(id, feed);
    entryOf(this.#members, network, () => new Map()).set(id, member);
    // Only now, so that the older stream's end is not taken for the agent's going away.
    if (older !== undefined) closeGates(older);
    older?.session.end(REPLACED);
    connect();
    this.#distributor.mark(network, false);
    const line = this.#lines.take(`connected ${id}`);
    if (line === undefined) return;
    this.#options.logger.info(
      { event: 'agent-connected', network, host, agent: id, peer: session.peer, ...line },
      'agent connected',
    );
  }

  #ended(session: AgentStream): void {
    this.#sessions.delete(session);
    this.#entering.drop(session);
    const { agentId } = session;
    if (agentId === undefined) return;
    for (const [network, members] of this.#members) {
      const member = members.get(agentId);
      if (member?.session !== session) continue;
      closeGates(member);
      members.delete(agentId);
      if (members.size === 0) this.#members.delete(network);
      this.fleet.disconnected(agentId);
      this.#options.traffic.forget(network, member.host);
      const line = this.#lines.take(`disconnected ${agentId}`);
      if (line === undefined) continue;
      this.#options.logger.info(
        { event: 'agent-disconnected', network, agent: agentId, ...line },
        'agent disconnected',
      );
    }
  }

  /** A listener of state: it may read, mark and cut, and change nothing. */
  #changed(next: State, previous: State, { networks, takesAway }: StateChange): void {
    for (const name of networks) {
      const members = next.networks.get(name)?.agents;
      for (const [agentId, { session, host }] of this.#members.get(name) ?? []) {
        const member = members?.get(agentId);
        if (member?.host === host) continue;
        if (member !== undefined) {
          session.end(RENAMED);
          continue;
        }
        session.end(ended(this.#options.state.endedAgent(agentId)?.reason ?? 'the membership ended'));
      }
      this.fleet.follow(next.networks.get(name), previous.networks.get(name));
      this.#distributor.mark(name, takesAway);
    }
  }

  #acknowledged(agentId: string, { timeline, index, revision, kept }: pb.Ack): void {
    this.#options.observer?.message('ack');
    const feed = this.#member(agentId)?.feed;
    // A delta that was not sent cannot have been applied: such an acknowledgement says nothing.
    if (timeline !== this.#options.timeline || feed?.hasSent(index, revision) !== true) return;
    this.fleet.enforced(agentId, revision, kept);
  }

  #reported(agentId: string, report: pb.Report): void {
    this.#options.observer?.message('report');
    this.#member(agentId)?.reports.offer(reportFromWire(report));
  }

  /** What only tells of the agent must not cost it its lifeline: telemetry out of form is passed over. */
  #moved(agentId: string, wire: pb.Telemetry): void {
    this.#options.observer?.message('telemetry');
    try {
      const receivedMs = this.#options.now();
      this.#member(agentId)?.telemetry.offer({ telemetry: telemetryFromWire(wire), receivedMs });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#options.observer?.telemetryRefused();
      if (this.#complaints.note(agentId)) return;
      this.#options.logger.warn(
        { event: 'telemetry-refused', agent: agentId, why: error.message },
        'telemetry refused',
      );
    }
  }

  #flows(agentId: string, batch: pb.FlowBatch, settled: () => void): void {
    this.#options.observer?.message('flows');
    const { state, flows, logger } = this.#options;
    const network = state.current.agents.get(agentId) ?? '';
    const host = state.current.networks.get(network)?.agents.get(agentId)?.host;
    if (host === undefined) {
      settled();
      return;
    }
    const { records, dropped, refused } = acceptFlows(batch, host);
    flows.add(network, host, records, dropped + refused, settled);
    this.#options.observer?.flows({ taken: records.length, dropped, refused });
    if (refused > 0 && !this.#complaints.note(agentId)) {
      logger.warn({ event: 'flows-refused', network, host, refused }, 'flow records refused');
    }
  }

  #resync(agentId: string, reason: string): void {
    this.#options.observer?.message('resync');
    if (!this.#complaints.note(agentId)) {
      this.#options.logger.info({ event: 'resync-asked', agent: agentId, reason }, 'agent asks for a snapshot');
    }
    this.#member(agentId)?.feed.resync();
  }

  #forget(agentId: string): void {
    this.#options.state.forgetAgent(agentId).catch((error: unknown) => {
      this.#options.logger.error({ event: 'agent-not-forgotten', agent: agentId, err: error }, 'agent not forgotten');
    });
  }

  #member(agentId: string): ConnectedMember | undefined {
    return this.#members.get(this.#options.state.current.agents.get(agentId) ?? '')?.get(agentId);
  }

  *#feeds(network: string): Generator<readonly [string, Feed]> {
    for (const [agentId, { feed }] of this.#members.get(network) ?? []) yield [agentId, feed];
  }
}

function closeGates({ reports, telemetry }: ConnectedMember): void {
  reports.close();
  telemetry.close();
}

function digestsOf({ inventory }: ReturnType<typeof standingFromWire>): Standing['inventory'] {
  return new Map(Array.from(inventory, ([key, digest]) => [key, Buffer.from(digest).toString('hex')]));
}
