/** Which instances a call is tried at, and in which order. */
import { instanceListens, type Protocol } from '@weft/proto';
import type { Netmap, NetmapInstance } from '../words/netmap.ts';
import type { Call } from './call.ts';

/** What this host itself knows of its own programs: newer than what control tells back, and known while control is away. */
export interface LocalHealth {
  listening(service: string, port: number, protocol: Protocol): boolean;
}

/** What is known of the ways to other hosts. */
export interface PeerReach {
  /** Whether the peer is likely to take a flow. */
  promising(agentId: string): boolean;
}

/** An instance that the call can be tried at. */
export interface Candidate {
  readonly instance: NetmapInstance;
  /** Name of its host. */
  readonly host: string;
  /** Runs on this very host: no tunnel is needed. */
  readonly local: boolean;
}

/** Round robin, one turn counter a service. */
export class Chooser {
  readonly #local: LocalHealth;
  readonly #peers: PeerReach;
  readonly #turns = new Map<string, number>();
  readonly #firstTurn: number;

  /** Threads that count turns each for itself begin apart, so that their first calls do not all go to one instance. */
  constructor(local: LocalHealth, peers: PeerReach, firstTurn = 0) {
    this.#local = local;
    this.#peers = peers;
    this.#firstTurn = firstTurn;
  }

  /**
   * Healthy instances, each group turned by one at each call: those that listen on the port first, then those that do on hosts
   * that have fallen silent, of which control need not know yet. Where none is healthy, those of which it is known that nothing
   * listens: their agents say which address they try. One that was asked for by its own address is the only candidate, well or
   * not: its caller wants to hear from it and no other.
   */
  candidates(netmap: Netmap, call: Call): readonly Candidate[] {
    const { service, ordinal, port, protocol } = call;
    const { instances = [], service: declared } = netmap.services.get(service) ?? {};
    if (ordinal !== undefined) {
      return instances
        .filter((instance) => instance.ordinal === ordinal)
        .flatMap((instance) => placed(netmap, instance) ?? []);
    }
    const listening: Candidate[] = [];
    const doubtful: Candidate[] = [];
    const silent: Candidate[] = [];
    const unwell: Candidate[] = [];
    for (const instance of instances) {
      const candidate = placed(netmap, instance);
      if (candidate === undefined) continue;
      const { local } = candidate;
      const answers = local
        ? this.#local.listening(service, port, protocol)
        : instanceListens(declared, instance, port, protocol);
      if (!instance.healthy && !(local && answers)) {
        if (!answers) unwell.push(candidate);
      } else if (!answers) silent.push(candidate);
      else (local || this.#peers.promising(instance.agentId) ? listening : doubtful).push(candidate);
    }
    const turn = this.#turns.get(service) ?? this.#firstTurn;
    this.#turns.set(service, (turn + 1) % Number.MAX_SAFE_INTEGER);
    const healthy = [...rotated(listening, turn), ...rotated(doubtful, turn), ...rotated(silent, turn)];
    return healthy.length > 0 ? healthy : rotated(unwell, turn);
  }

  /** Forgets the turns of services that are gone. */
  prune(netmap: Netmap): void {
    for (const service of this.#turns.keys()) if (!netmap.services.has(service)) this.#turns.delete(service);
  }
}

/** An instance on an agent whose keys we were not given cannot be called. */
function placed(netmap: Netmap, instance: NetmapInstance): Candidate | undefined {
  if (instance.agentId === netmap.self?.agentId) return { instance, host: netmap.self.host, local: true };
  const peer = netmap.peers.get(instance.agentId);
  return peer && { instance, host: peer.host, local: false };
}

function rotated<Value>(values: readonly Value[], turn: number): readonly Value[] {
  if (values.length < 2) return values;
  const start = turn % values.length;
  return [...values.slice(start), ...values.slice(0, start)];
}
