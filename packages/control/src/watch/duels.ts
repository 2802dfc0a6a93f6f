/**
 * Two hosts with one identity, be it by a copied image or a stolen key. Each takes the other's place for ever, unless one is sent
 * away. A host that was replaced comes back as the same run of its agent; one that crashes at each start never does.
 */

/** One run of an agent, and where it comes from. */
export interface Contender {
  /** Names the process: another at each start. */
  readonly run: string;
  /** HOST:PORT. */
  readonly peer: string;
}

/** Who holds the place keeps it, once they met this often. */
const MEETINGS = 3;
const WINDOW_MS = 60_000;
/** Without either seen again for so long, there is but one of them. */
const STANDS_MS = 600_000;

/** How long the one that is sent away stays away. */
export const AWAY_MS = 300_000;

/** Of one agent that are remembered: more than begin a duel, however fast they come. */
const MOST_COMERS = 8;

interface Duel {
  /** Who came to replace another, in the last minute. */
  comers: readonly { readonly run: string; readonly atMs: number }[];
  standsUntilMs: number;
}

export class Duels {
  readonly #now: () => number;
  /** By agent id, the one that met last at the end. */
  readonly #known = new Map<string, Duel>();

  /** Milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What the comer may do about who holds the place: take it, or be sent away, the first time or once more. */
  meet(agentId: string, holder: Contender, comer: Contender): 'replace' | 'begin' | 'go-on' {
    if (holder.run === comer.run) return 'replace';
    const nowMs = this.#now();
    for (const [id, { standsUntilMs, comers }] of this.#known) {
      if (standsUntilMs <= nowMs && (comers.at(-1)?.atMs ?? 0) + WINDOW_MS <= nowMs) this.#known.delete(id);
    }
    const duel = this.#known.get(agentId) ?? { comers: [], standsUntilMs: 0 };
    this.#known.set(agentId, duel);
    const stands = nowMs < duel.standsUntilMs;
    duel.comers = [...duel.comers, { run: comer.run, atMs: nowMs }]
      .filter(({ atMs }) => atMs + WINDOW_MS > nowMs)
      .slice(-MOST_COMERS);
    const returned = new Set(duel.comers.map(({ run }) => run)).size < duel.comers.length;
    if (!stands && (duel.comers.length < MEETINGS || !returned)) return 'replace';
    duel.standsUntilMs = nowMs + STANDS_MS;
    return stands ? 'go-on' : 'begin';
  }

  /** Milliseconds until there is but one of them, as far as is known; 0 when that is so now. */
  standsForMs(agentId: string): number {
    return Math.max(0, (this.#known.get(agentId)?.standsUntilMs ?? 0) - this.#now());
  }
}
