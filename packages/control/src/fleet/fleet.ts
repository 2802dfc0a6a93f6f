/**
 * How each agent fares: connected or not, its last report, and from both the presence that views show of it. An agent that
 * goes away keeps its health for a while, since a break of its stream is no break of its services.
 */
import { entryOf, type PlaceTry, type Problem, type Report, type Telemetry, UNSAID_CAPABILITY } from '@weft/proto';
import type { InstanceHealth, Presence } from '../netmap/presence.ts';
import type { AgentState, NetworkState, State } from '../state/types.ts';
import { type ConnectedAgent, Enforcement, Publications } from './enforcement.ts';
import type { EnforcementWaiter, LiveAgent, LiveAgents, Software } from './live.ts';
import type { Remembered, ReportMemory } from './memory.ts';
import { Movement } from './movement.ts';
import { acceptReport, EMPTY_REPORT, unchangedPresence, unwell, withTries } from './report.ts';
import type { Timing } from './timing.ts';

interface Known {
  agent: AgentState;
  connected: boolean;
  /** When it last connected; 0 when not since control started. */
  connectedMs: number;
  lastSeenMs: number;
  enforcedRevision: number;
  kept: boolean;
  /** The newest it ever acknowledged, and when first: it says so again each time it connects, which makes it no newer. */
  acknowledged: { readonly revision: number; readonly atMs: number };
  version: string;
  capability: number;
  claimed: Report | undefined;
  report: Report | undefined;
  /** What views show of it; undefined until it is first heard of. */
  presence: Presence | undefined;
  observedHost: string;
  /** What control itself found wrong with it. */
  doubt: { readonly problem: Problem; readonly timer: NodeJS.Timeout } | undefined;
  /** What others found of its exposed places, by the tries of the last round. */
  tries: readonly PlaceTry[];
  readonly movement: Movement;
  /** Runs while it is away: first its health is given up, then, if it is ephemeral, its membership. */
  readonly timers: Set<NodeJS.Timeout>;
}

export interface FleetOptions {
  readonly timing: Timing;
  readonly now: () => number;
  readonly memory: ReportMemory;
  /** What views show of the agent, when that changed; undefined when it is no member any more. */
  readonly onPresence: (agent: AgentState, presence: Presence | undefined) => void;
  /** An ephemeral agent was away too long. Never called while state is changing. */
  readonly onForgotten: (agentId: string) => void;
  /** An agent that was connected when a revision came out enforces it, this much later. */
  readonly onEnforced: (afterMs: number) => void;
}

const SAVE_MS = 1_000;
/** When agents were last heard, which changes all the time. */
const SAVE_HEARD_MS = 60_000;

const HELD_OFF = 'held-off';
/** One that does not come again for so long is away. */
const HELD_OFF_MS = 600_000;

export class Fleet implements LiveAgents, EnforcementWaiter {
  readonly #options: FleetOptions;
  readonly #known = new Map<string, Known>();
  /** By network. */
  readonly #publications = new Map<string, Publications>();
  /** By network. */
  readonly #services = new Map<string, NetworkState['services']>();
  readonly #enforcement = new Enforcement((network) => this.#connectedAgents(network));
  #saveTimer: NodeJS.Timeout | undefined;
  #saveHeardTimer: NodeJS.Timeout | undefined;

  /** Starts with the agents that are members now, of whom none is connected yet. */
  constructor(state: State, options: FleetOptions) {
    this.#options = options;
    const remembered = options.memory.load();
    for (const network of state.networks.values()) {
      this.#published(network);
      for (const agent of network.agents.values()) {
        this.#restore(this.#add(agent), network, remembered.get(agent.id));
      }
    }
  }

  agent(agentId: string): LiveAgent | undefined {
    const known = this.#known.get(agentId);
    if (known === undefined) return undefined;
    const { connected, lastSeenMs, enforcedRevision, kept, acknowledged, report, movement } = known;
    return {
      connected,
      lastSeenMs,
      enforcedRevision,
      kept,
      enforcedSinceMs: enforcedRevision === 0 ? 0 : acknowledged.atMs,
      version: known.version,
      capability: known.capability,
      report,
      observedHost: known.observedHost,
      behindSinceMs: this.#behindSince(known),
      clockSkewMs: movement.clockSkewMs,
      telemetry: movement.telemetry,
      peerRates: movement.peerRates(this.#options.now()),
    };
  }

  instance(agentId: string, service: string): InstanceHealth | undefined {
    return this.#known.get(agentId)?.presence?.instances.get(service);
  }

  waitEnforced(network: string, revision: number, timeoutMs: number, signal: AbortSignal): Promise<string[]> {
    return this.#enforcement.waitEnforced(network, revision, timeoutMs, signal);
  }

  /** Everyone who waits is answered with who is behind now. */
  stopWaiting(): void {
    this.#enforcement.close();
  }

  /** A revision came out; members came, went, or were changed. */
  follow(next: NetworkState | undefined, previous: NetworkState | undefined): void {
    if (next === undefined) this.#forgetNetwork(previous?.name ?? '');
    else if (next.revision !== previous?.revision) this.#published(next);
    if (next?.agents === previous?.agents) return;
    for (const agentId of previous?.agents.keys() ?? []) if (next?.agents.has(agentId) !== true) this.#remove(agentId);
    for (const agent of next?.agents.values() ?? []) {
      const known = this.#known.get(agent.id);
      if (known === undefined) this.#whileAway(this.#add(agent), undefined);
      else if (known.agent !== agent) {
        const forgets = agent.ephemeral && !known.agent.ephemeral;
        known.agent = agent;
        if (forgets && !known.connected) this.#whileAway(known, this.#options.timing.restartGraceMs);
        // One that is away keeps what is shown of it: its last report may be of a time when it was well.
        if (known.connected) this.#publish(known);
      }
    }
  }

  /** It has become a member, and will connect. */
  joined(agentId: string, capability: number): void {
    const known = this.#known.get(agentId);
    if (known !== undefined) this.#understands(known, capability);
  }

  connected(agentId: string, software: Software, report: Report, observedHost: string): void {
    const known = this.#require(agentId);
    stopTimers(known);
    this.#understands(known, software.capability);
    // What it enforces now it will say by acknowledging its first delta.
    Object.assign(known, { connected: true, enforcedRevision: 0, kept: true, ...software, observedHost });
    known.connectedMs = this.#options.now();
    known.movement.start();
    if (known.doubt?.problem.code === HELD_OFF) forget(known);
    this.heard(agentId);
    this.reported(agentId, report);
    const { network, host } = known.agent;
    this.#enforcement.arrived(network, { agentId, host, enforcedRevision: 0 });
  }

  heard(agentId: string): void {
    this.#require(agentId).lastSeenMs = this.#options.now();
    this.#saveHeardTimer ??= setTimeout(() => this.#save(), SAVE_HEARD_MS).unref();
  }

  reported(agentId: string, report: Report): void {
    const known = this.#require(agentId);
    known.claimed = report;
    this.#publish(known);
  }

  /** `receivedMs` is when it arrived. */
  moved(agentId: string, telemetry: Telemetry, receivedMs: number): void {
    this.#require(agentId).movement.take(telemetry, receivedMs);
  }

  /** `kept`: whether a start from its disk would enforce it too. */
  enforced(agentId: string, revision: number, kept: boolean): void {
    const known = this.#require(agentId);
    known.kept = kept;
    const { agent, enforcedRevision, connectedMs } = known;
    if (revision <= enforcedRevision) return;
    known.enforcedRevision = revision;
    this.#enforcement.enforced(agent.network, agentId, revision);
    if (revision !== known.acknowledged.revision) known.acknowledged = { revision, atMs: this.#options.now() };
    // The first after it connected says what it held all along, or missed while it was away.
    for (const atMs of this.#publications.get(agent.network)?.between(enforcedRevision, revision) ?? []) {
      if (atMs >= connectedMs) this.#options.onEnforced(Math.max(0, this.#options.now() - atMs));
    }
  }

  /** It is a member, and control does not serve it for now; it comes again, and is told so again. */
  heldOff(agentId: string, message: string): void {
    const subject = this.#require(agentId).agent.host;
    this.doubt(agentId, { code: HELD_OFF, subject, message }, HELD_OFF_MS);
  }

  /** Control itself found something wrong with the agent, which stands for so long. */
  doubt(agentId: string, problem: Problem, standsMs: number): void {
    const known = this.#require(agentId);
    forget(known);
    const over = (): void => {
      forget(known);
      this.#judge(known);
    };
    known.doubt = { problem, timer: setTimeout(over, standsMs).unref() };
    this.#judge(known);
  }

  /** Others have tried its exposed places; in place of what they found before. */
  tried(agentId: string, tries: readonly PlaceTry[]): void {
    const known = this.#known.get(agentId);
    if (known === undefined) return;
    known.tries = tries;
    this.#judge(known);
  }

  disconnected(agentId: string): void {
    const known = this.#known.get(agentId);
    if (known === undefined) return;
    known.connected = false;
    known.movement.stop();
    this.#enforcement.left(known.agent.network, agentId);
    this.#whileAway(known, this.#options.timing.graceMs);
  }

  close(): void {
    for (const known of this.#known.values()) stopTimers(known);
    if (this.#saveTimer !== undefined || this.#saveHeardTimer !== undefined) this.#save();
  }

  *#connectedAgents(network: string): Generator<ConnectedAgent> {
    for (const { agent, connected, enforcedRevision } of this.#known.values()) {
      if (connected && agent.network === network) yield { agentId: agent.id, host: agent.host, enforcedRevision };
    }
  }

  #forgetNetwork(name: string): void {
    this.#publications.delete(name);
    this.#services.delete(name);
  }

  #published({ name, revision, services }: NetworkState): void {
    this.#services.set(name, services);
    entryOf(this.#publications, name, () => new Publications()).note(revision, this.#options.now());
  }

  /** One that connected just now has had no time before that to enforce anything. */
  #behindSince({ agent, enforcedRevision, connected, connectedMs }: Known): number {
    const sinceMs = this.#publications.get(agent.network)?.newerSinceMs(enforcedRevision) ?? 0;
    return sinceMs > 0 && connected ? Math.max(sinceMs, connectedMs) : sinceMs;
  }

  #add(agent: AgentState): Known {
    const known: Known = {
      agent,
      connected: false,
      connectedMs: 0,
      lastSeenMs: 0,
      enforcedRevision: 0,
      kept: true,
      acknowledged: { revision: 0, atMs: 0 },
      version: '',
      capability: UNSAID_CAPABILITY,
      claimed: undefined,
      report: undefined,
      presence: undefined,
      observedHost: '',
      doubt: undefined,
      tries: [],
      movement: new Movement(),
      timers: new Set(),
    };
    this.#known.set(agent.id, known);
    return known;
  }

  #remove(agentId: string): void {
    const known = this.#known.get(agentId);
    if (known === undefined) return;
    stopTimers(known);
    this.#known.delete(agentId);
    this.#options.onPresence(known.agent, undefined);
    this.#enforcement.left(known.agent.network, agentId);
    this.#saveSoon();
  }

  /** Kept, for it counts while the agent is away, too. */
  #understands(known: Known, capability: number): void {
    if (known.capability !== capability) this.#saveSoon();
    known.capability = capability;
  }

  /** Control was started again: the agent is taken to be as it was, or if nothing is known of it, to be well. */
  #restore(known: Known, network: NetworkState, remembered: Remembered | undefined): void {
    known.capability = remembered?.capability ?? UNSAID_CAPABILITY;
    known.lastSeenMs = Math.min(remembered?.lastSeenMs ?? 0, this.#options.now());
    if (remembered?.report !== undefined) {
      known.claimed = remembered.report;
      known.observedHost = remembered.observedHost;
      this.#publish(known);
    } else {
      const instances = new Map<string, InstanceHealth>();
      for (const { agentId, service } of network.instances.values()) {
        if (agentId === known.agent.id) instances.set(service, WELL);
      }
      this.#show(known, { endpoints: [], instances });
    }
    this.#whileAway(known, this.#options.timing.restartGraceMs);
  }

  #publish(known: Known): void {
    this.#show(known, this.#judge(known));
  }

  /** What control tells of it, doubts and all; the answer is what views show, to which those are nothing. */
  #judge(known: Known): Presence {
    const claimed = known.claimed ?? EMPTY_REPORT;
    const doubts = known.doubt === undefined ? [] : [known.doubt.problem];
    const { agent, tries, observedHost } = known;
    const services = this.#services.get(agent.network);
    const { report, presence } = acceptReport(agent, withTries(claimed, tries), observedHost, doubts, services);
    known.report = report;
    return presence;
  }

  #show(known: Known, presence: Presence): void {
    const next = unchangedPresence(known.presence, presence);
    if (next === known.presence) return;
    known.presence = next;
    this.#saveSoon();
    this.#options.onPresence(known.agent, next);
  }

  /** `graceMs` is undefined for an agent that has no health to give up. */
  #whileAway(known: Known, graceMs: number | undefined): void {
    stopTimers(known);
    const after = (delayMs: number, action: () => void): void => {
      const timer = setTimeout(() => {
        known.timers.delete(timer);
        action();
      }, delayMs);
      timer.unref();
      known.timers.add(timer);
    };
    if (graceMs !== undefined) {
      after(graceMs, () => {
        if (known.presence !== undefined) this.#show(known, unwell(known.presence));
      });
    }
    if (known.agent.ephemeral) after(this.#options.timing.ephemeralMs, () => this.#options.onForgotten(known.agent.id));
  }

  #require(agentId: string): Known {
    const known = this.#known.get(agentId);
    if (known === undefined) throw new Error(`agent ${agentId} is no member`);
    return known;
  }

  #saveSoon(): void {
    this.#saveTimer ??= setTimeout(() => this.#save(), SAVE_MS).unref();
  }

  #save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    clearTimeout(this.#saveHeardTimer);
    this.#saveHeardTimer = undefined;
    const reports = new Map<string, Remembered>();
    for (const [agentId, { claimed, observedHost, capability, lastSeenMs }] of this.#known) {
      if (claimed === undefined && capability === UNSAID_CAPABILITY) continue;
      reports.set(agentId, { report: claimed, observedHost, capability, lastSeenMs });
    }
    this.#options.memory.save(reports);
  }
}

const WELL: InstanceHealth = { healthy: true, notListening: [] };

function forget(known: Known): void {
  clearTimeout(known.doubt?.timer);
  known.doubt = undefined;
}

function stopTimers(known: Known): void {
  for (const timer of known.timers) clearTimeout(timer);
  known.timers.clear();
}
