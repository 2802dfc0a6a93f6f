/**
 * Has other agents of a network try the places that an agent says are exposed, where its owner wishes it: what really answers from outside, and from
 * where. A few at a time and not often; what is asked is a question as any other, and a try is a TCP connection without a byte.
 */
import {
  isIP,
  normalHost,
  type PlaceTry,
  parseHostPort,
  TRIES_PLACES,
  type TriedPlace,
  WIRE_LIMITS,
} from '@weft/proto';
import type { LiveAgent, LiveAgents } from '../fleet/live.ts';
import type { PlaceTrier } from '../fleet/questions.ts';
import { isTryOf } from '../fleet/report.ts';
import type { NetworkState, State } from '../state/types.ts';

/** Looked for so often who is to be tried. */
const LOOK_MS = 5_000;
/** The same is tried again after so long. */
const AGAIN_MS = 600_000;
/** Hosts that try one, in turn. */
const VANTAGES = 3;
/** Asked for that: one that has no tunnel to it, or may have none, tries nothing. */
const MOST_ASKED = 8;
/** Agents that are tried in one look. */
const MOST_AT_ONCE = 16;
/** Longer than silence takes, for as many as may be asked. */
const ANSWER_MS = 12_000;

export interface ExposureTriesOptions {
  readonly state: { readonly current: State };
  readonly live: LiveAgents;
  readonly trier: PlaceTrier;
  /** All that was found of an agent by the tries of one round. */
  readonly found: (agentId: string, tries: readonly PlaceTry[]) => void;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly lookMs?: number;
}

interface Tried {
  /** What was tried, as one text. */
  readonly what: string;
  readonly atMs: number;
  readonly turn: number;
}

interface Candidate {
  readonly agentId: string;
  readonly host: string;
  readonly live: LiveAgent;
  /** Where it says that it is, in their one form. */
  readonly hosts: ReadonlySet<string>;
}

export class ExposureTries {
  readonly #options: ExposureTriesOptions;
  readonly #tried = new Map<string, Tried>();
  /** What was told of each last. */
  readonly #found = new Map<string, readonly PlaceTry[]>();
  #timer: NodeJS.Timeout | undefined;
  #closed: boolean = false;

  constructor(options: ExposureTriesOptions) {
    this.#options = options;
  }

  start(): void {
    const again = () => {
      if (this.#closed) return;
      this.#timer = setTimeout(() => void this.look().then(again, again), this.#options.lookMs ?? LOOK_MS).unref();
    };
    again();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Resolves when those whose turn it is have been tried. */
  async look(): Promise<void> {
    const { state } = this.#options;
    const all = new Set<string>();
    let left = MOST_AT_ONCE;
    for (const network of state.current.networks.values()) {
      for (const agentId of network.agents.keys()) all.add(agentId);
      const wishing = this.#connected(
        network,
        ({ report }) => report?.triedByPeers === true && report.exposed.length > 0,
      );
      // Most networks have none, and many hosts.
      if (wishing.length === 0) continue;
      const connected = this.#connected(network, ({ capability }) => capability >= TRIES_PLACES);
      for (const target of wishing) {
        if (this.#closed || left === 0) return;
        const places = placesOf(target);
        if (places.length === 0 || !this.#isDue(target, places)) continue;
        left -= 1;
        await this.#try(target, places, connected);
      }
    }
    for (const known of [this.#tried, this.#found])
      for (const agentId of known.keys()) if (!all.has(agentId)) known.delete(agentId);
  }

  #connected(network: NetworkState, fits: (live: LiveAgent) => boolean): readonly Candidate[] {
    return [...network.agents.values()].flatMap(({ id, host }): Candidate[] => {
      const live = this.#options.live.agent(id);
      return live?.connected === true && fits(live) ? [{ agentId: id, host, live, hosts: hostsOf(live) }] : [];
    });
  }

  #isDue({ agentId, live }: Candidate, places: readonly TriedPlace[]): boolean {
    const before = this.#tried.get(agentId);
    const what = whatOf(live, places);
    return before === undefined || before.what !== what || this.#options.now() - before.atMs >= AGAIN_MS;
  }

  async #try(target: Candidate, places: readonly TriedPlace[], connected: readonly Candidate[]): Promise<void> {
    const { trier, now, found } = this.#options;
    const { agentId, live } = target;
    const turn = this.#tried.get(agentId)?.turn ?? 0;
    const others = connected.filter((one) => isElsewhere(one, target));
    // Nobody is there yet: whoever comes tries. What was found of a place that is told as closed since then is of no use.
    if (others.length === 0) {
      this.#forgetClosed(target);
      return;
    }
    this.#tried.set(agentId, { what: whatOf(live, places), atMs: now(), turn: turn + VANTAGES });
    const tries: PlaceTry[] = [];
    let answered = 0;
    for (let asked = 0; asked < Math.min(MOST_ASKED, others.length) && answered < VANTAGES; asked++) {
      const vantage = others[(turn + asked) % others.length];
      if (vantage === undefined || this.#closed) return;
      const outcomes = await trier.tryPlaces(vantage.agentId, agentId, places, ANSWER_MS);
      const timeMs = now();
      if (outcomes?.includes('answers') || outcomes?.includes('refused') || outcomes?.includes('silent')) answered += 1;
      for (const [at, place] of places.entries()) {
        const outcome = outcomes?.[at] ?? 'not-tried';
        if (outcome !== 'not-tried') tries.push({ ...place, host: vantage.host, outcome, timeMs });
      }
    }
    found(agentId, tries);
    this.#found.set(agentId, tries);
  }

  #forgetClosed({ agentId, live: { report } }: Candidate): void {
    const before = this.#found.get(agentId) ?? [];
    const closed = (report?.exposed ?? []).filter((place) => place.closed);
    const left = before.filter((one) => !closed.some((place) => isTryOf(one, place)));
    if (left.length === before.length) return;
    this.#found.set(agentId, left);
    this.#options.found(agentId, left);
  }
}

/** Where its own word, and control's eyes, have it; without names, which each host resolves for itself. */
function hostsOf({ report, observedHost }: LiveAgent): ReadonlySet<string> {
  const told = (report?.endpoints ?? []).map((endpoint) => parseHostPort(endpoint)?.host ?? '');
  return new Set([...told, observedHost].flatMap((host) => (isIP(host) === 0 ? [] : (normalHost(host) ?? []))));
}

/** Not on the same machine, from where everything is reached. */
function isElsewhere(one: Candidate, target: Candidate): boolean {
  if (one.agentId === target.agentId) return false;
  const told = (one.live.report?.endpoints ?? []).map((endpoint) => normalHost(parseHostPort(endpoint)?.host ?? ''));
  return !told.some((host) => host !== undefined && target.hosts.has(host));
}

function placesOf({ live, hosts }: Candidate): readonly TriedPlace[] {
  const { report } = live;
  if (report === undefined || !report.triedByPeers) return [];
  const places = report.exposed.flatMap(({ protocol, address, port }): TriedPlace[] => {
    const at = [...hosts].filter((host) => {
      if (address === '0.0.0.0') return !host.includes(':');
      return address === '::' ? host.includes(':') : host === normalHost(address);
    });
    return at.map((host) => ({ protocol, port, address: host }));
  });
  const each = new Map(places.map((place) => [JSON.stringify(place), place]));
  return [...each.values()].slice(0, WIRE_LIMITS.triedPlaces);
}

/** What is closed meanwhile is worth another try. */
function whatOf({ report }: LiveAgent, places: readonly TriedPlace[]): string {
  return JSON.stringify([places, report?.exposed.map(({ closed }) => closed)]);
}
