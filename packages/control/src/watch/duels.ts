/**
 * Two hosts with one identity, be it by a copied image or a stolen key. Each takes the other's place for ever, unless one is sent
 * away. A host that starts anew may take the place of its last run, of whose end control need not have heard yet. But a run that
 * comes back after its place was taken lives, and so does who took it: the place is its own from then on, as it had it first.
 * Which of them is the true one nobody can tell here.
 */
import { observedHost } from '../bounds/observed.ts';

/** One run of an agent, and where it comes from. */
export interface Contender {
  /** Names the process: another at each start. */
  readonly run: string;
  /** HOST:PORT. */
  readonly peer: string;
}

/** Without another seen again for so long, there is but one of them. */
const STANDS_MS = 600_000;

/** How long the one that is sent away stays away. */
export const AWAY_MS = 300_000;

/** Of one agent that are remembered: more than start, however fast one crashes, until one that was replaced has come back. */
const MOST_REPLACED = 64;

interface Duel {
  /** Runs whose place was taken, oldest first. */
  replaced: readonly string[];
  /** Whose the place is, once it is clear that there are several. */
  owner: Contender | undefined;
  /** Since when one was sent away, for the first time. */
  begun: boolean;
  untilMs: number;
}

export class Duels {
  readonly #now: () => number;
  /** By agent id. */
  readonly #known = new Map<string, Duel>();

  /** Milliseconds of a clock that is never set. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What the comer may do about who holds the place: take it, or be sent away, the first time or once more. */
  meet(agentId: string, holder: Contender, comer: Contender): 'replace' | 'begin' | 'go-on' {
    if (holder.run === comer.run) return 'replace';
    const nowMs = this.#now();
    for (const [id, { untilMs }] of this.#known) if (untilMs <= nowMs) this.#known.delete(id);
    const duel = this.#known.get(agentId) ?? { replaced: [], owner: undefined, begun: false, untilMs: 0 };
    this.#known.set(agentId, duel);
    duel.untilMs = nowMs + STANDS_MS;
    if (duel.owner === undefined && duel.replaced.includes(comer.run)) duel.owner = comer;
    if (duel.owner === undefined || isOwner(duel.owner, comer, holder)) {
      duel.replaced = [...duel.replaced.filter((run) => run !== holder.run), holder.run].slice(-MOST_REPLACED);
      return 'replace';
    }
    const outcome = duel.begun ? 'go-on' : 'begin';
    duel.begun = true;
    return outcome;
  }

  /** Milliseconds until there is but one of them, as far as is known; 0 when that is so now. */
  standsForMs(agentId: string): number {
    const duel = this.#known.get(agentId);
    return duel?.begun === true ? Math.max(0, duel.untilMs - this.#now()) : 0;
  }
}

/** The run itself, or the next one from its address, unless who holds the place is there too. */
function isOwner(owner: Contender, { run, peer }: Contender, holder: Contender): boolean {
  const home = observedHost(owner.peer);
  return run === owner.run || (observedHost(peer) === home && observedHost(holder.peer) !== home);
}
