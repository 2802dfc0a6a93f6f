/**
 * How each agent fares: connected or not, its last report, and from both the presence that views show of it. An agent that
 * goes away keeps its health for a while, since a break of its stream is no break of its services.
 */
import type { Report } from '@weft/proto';
import type { InstanceHealth, Presence, Presences } from '../netmap/presence.ts';
import type { LiveAgent, LiveAgents } from '../rpc/live.ts';
import type { AgentState, NetworkState, State } from '../state/types.ts';
import type { ConnectedAgent } from './enforcement.ts';
import type { Remembered, ReportMemory } from './memory.ts';
import { acceptReport, EMPTY_REPORT, unchangedPresence, unwell } from './report.ts';
import type { Timing } from './timing.ts';

interface Known {
  agent: AgentState;
  connected: boolean;
  lastSeenMs: number;
  enforcedRevision: number;
  version: string;
  claimed: Report | undefined;
  report: Report | undefined;
  observedHost: string;
  /** Runs while it is away: first its health is given up, then, if it is ephemeral, its membership. */
  readonly timers: Set<NodeJS.Timeout>;
}

export interface RegistryOptions {
  readonly timing: Timing;
  readonly now: () => number;
  readonly memory: ReportMemory;
  /** What views show of an agent of this network changed. */
  readonly onChange: (network: string) => void;
  /** An ephemeral agent was away too long. Never called while state is changing. */
  readonly onForgotten: (agentId: string) => void;
}

const SAVE_MS = 1_000;

export class Registry implements LiveAgents {
  readonly #options: RegistryOptions;
  readonly #known = new Map<string, Known>();
  /** By network. */
  readonly #presences = new Map<string, Map<string, Presence>>();
  #saveTimer: NodeJS.Timeout | undefined;

  /** Starts with the agents that are members now, of whom none is connected yet. */
  constructor(state: State, options: RegistryOptions) {
    this.#options = options;
    const remembered = options.memory.load();
    for (const network of state.networks.values()) {
      for (const agent of network.agents.values()) {
        this.#restore(this.#add(agent), network, remembered.get(agent.id));
      }
    }
  }

  /** What views show of the agents of a network. Changes in place: use it and let go. */
  presences(network: string): Presences {
    return this.#presences.get(network) ?? NOBODY;
  }

  agent(agentId: string): LiveAgent | undefined {
    const known = this.#known.get(agentId);
    if (known === undefined) return undefined;
    const { connected, lastSeenMs, enforcedRevision, version, report } = known;
    return {
      connected,
      lastSeenMs,
      enforcedRevision,
      version,
      report,
      behindSinceMs: 0,
      clockSkewMs: undefined,
      telemetry: undefined,
      peerRates: new Map(),
    };
  }

  instance(agentId: string, service: string): InstanceHealth | undefined {
    const known = this.#known.get(agentId);
    return known && this.presences(known.agent.network).get(agentId)?.instances.get(service);
  }

  *connectedAgents(network: string): Generator<ConnectedAgent> {
    for (const { agent, connected, enforcedRevision } of this.#known.values()) {
      if (connected && agent.network === network) yield { agentId: agent.id, host: agent.host, enforcedRevision };
    }
  }

  /** Members came, went, or were changed. */
  follow(next: NetworkState | undefined, previous: NetworkState | undefined): void {
    if (next?.agents === previous?.agents) return;
    for (const agentId of previous?.agents.keys() ?? []) if (next?.agents.has(agentId) !== true) this.#remove(agentId);
    for (const agent of next?.agents.values() ?? []) {
      const known = this.#known.get(agent.id);
      if (known === undefined) this.#whileAway(this.#add(agent), undefined);
      else if (known.agent !== agent) {
        known.agent = agent;
        // One that is away keeps what is shown of it: its last report may be of a time when it was well.
        if (known.connected) this.#publish(known);
      }
    }
  }

  connected(agentId: string, version: string, report: Report, observedHost: string): void {
    const known = this.#require(agentId);
    stopTimers(known);
    // What it enforces now it will say by acknowledging its first delta.
    Object.assign(known, { connected: true, enforcedRevision: 0, version, observedHost });
    this.heard(agentId);
    this.reported(agentId, report);
  }

  heard(agentId: string): void {
    this.#require(agentId).lastSeenMs = this.#options.now();
  }

  reported(agentId: string, report: Report): void {
    const known = this.#require(agentId);
    known.claimed = report;
    this.#publish(known);
  }

  enforced(agentId: string, revision: number): void {
    const known = this.#require(agentId);
    known.enforcedRevision = Math.max(known.enforcedRevision, revision);
  }

  disconnected(agentId: string): void {
    const known = this.#known.get(agentId);
    if (known === undefined) return;
    known.connected = false;
    this.#whileAway(known, this.#options.timing.graceMs);
  }

  close(): void {
    for (const known of this.#known.values()) stopTimers(known);
    if (this.#saveTimer !== undefined) this.#save();
  }

  #add(agent: AgentState): Known {
    const known: Known = {
      agent,
      connected: false,
      lastSeenMs: 0,
      enforcedRevision: 0,
      version: '',
      claimed: undefined,
      report: undefined,
      observedHost: '',
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
    this.#presences.get(known.agent.network)?.delete(agentId);
    this.#saveSoon();
  }

  /** Control was started again: the agent is taken to be as it was, or if nothing is known of it, to be well. */
  #restore(known: Known, network: NetworkState, remembered: Remembered | undefined): void {
    if (remembered !== undefined) {
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
    const { report, presence } = acceptReport(known.agent, known.claimed ?? EMPTY_REPORT, known.observedHost);
    known.report = report;
    this.#show(known, presence);
  }

  #show({ agent }: Known, presence: Presence): void {
    let presences = this.#presences.get(agent.network);
    if (presences === undefined) {
      presences = new Map();
      this.#presences.set(agent.network, presences);
    }
    const before = presences.get(agent.id);
    const next = unchangedPresence(before, presence);
    if (next === before) return;
    presences.set(agent.id, next);
    this.#saveSoon();
    this.#options.onChange(agent.network);
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
        const presence = this.#presences.get(known.agent.network)?.get(known.agent.id);
        if (presence !== undefined) this.#show(known, unwell(presence));
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
    const reports = new Map<string, Remembered>();
    for (const [agentId, { claimed, observedHost }] of this.#known) {
      if (claimed !== undefined) reports.set(agentId, { report: claimed, observedHost });
    }
    this.#options.memory.save(reports);
  }
}

const NOBODY: Presences = new Map();
const WELL: InstanceHealth = { healthy: true, notListening: [] };

function stopTimers(known: Known): void {
  for (const timer of known.timers) clearTimeout(timer);
  known.timers.clear();
}
