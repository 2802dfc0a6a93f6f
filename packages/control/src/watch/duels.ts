/**
 * Two hosts with one identity, be it by a copied image or a stolen key. Each takes the other's place for ever, unless one is sent
 * away. A host that starts anew may take the place of its last run, of whose end control need not have heard yet. But a run that
 * comes back after its place was taken lives, and so does who took it: the place is its own from then on, as it had it first.
 * Which of them is the true one nobody can tell here.
 */
import { entryOf } from '@weft/proto';
import type { Logger } from 'pino';
import { CONTROL } from '../audit/entry.ts';
import type { AuditLog } from '../audit/types.ts';
import { observedHost } from '../bounds/observed.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { AgentState } from '../state/types.ts';
import { held, type Refusal } from './authenticate.ts';

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
const AWAY_MS = 300_000;

/** Of one agent that are remembered: the first, and the last, so that no crowd of newcomers makes an earlier one forgotten. */
const MOST_REPLACED = 64;
/** So many runs in turn, with another address between them, are no host that starts again. */
const TOO_MANY = 16;

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

  /** What the comer may do about who holds the place, if anyone does: take it, or be sent away, the first time or once more. */
  meet(agentId: string, holder: Contender | undefined, comer: Contender): 'replace' | 'begin' | 'go-on' {
    if (holder === undefined) {
      // Who took its place from it may have left at once: to come again with another run, as often as it likes.
      const duel = this.#known.get(agentId);
      if (duel?.replaced.includes(comer.run) === true) duel.owner ??= comer;
      return 'replace';
    }
    if (holder.run === comer.run) {
      const duel = this.#known.get(agentId);
      if (duel?.owner?.run === comer.run) duel.owner = comer;
      return 'replace';
    }
    const nowMs = this.#now();
    for (const [id, { untilMs }] of this.#known) if (untilMs <= nowMs) this.#known.delete(id);
    const duel = entryOf(
      this.#known,
      agentId,
      (): Duel => ({ replaced: [], owner: undefined, begun: false, untilMs: 0 }),
    );
    duel.untilMs = nowMs + STANDS_MS;
    if (duel.owner === undefined && duel.replaced.includes(comer.run)) duel.owner = comer;
    const elsewhere = observedHost(holder.peer) !== observedHost(comer.peer);
    if (duel.owner === undefined && elsewhere && duel.replaced.length >= TOO_MANY) duel.owner = holder;
    if (duel.owner === undefined || isOwner(duel.owner, comer, holder)) {
      // It may have moved, and starts from there the next time.
      if (duel.owner !== undefined) duel.owner = comer;
      const replaced = [...duel.replaced.filter((run) => run !== holder.run), holder.run];
      if (replaced.length > MOST_REPLACED) replaced.splice(MOST_REPLACED / 2, 1);
      duel.replaced = replaced;
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

interface RefereeOptions {
  readonly audit: Pick<AuditLog, 'record'>;
  readonly logger: Logger;
}

/** Sends away who loses, and tells of it in the log, the audit and the agent's status. */
export class DuelReferee {
  readonly #fleet: Pick<Fleet, 'doubt'>;
  readonly #options: RefereeOptions;
  readonly #duels = new Duels(() => performance.now());

  constructor(fleet: Pick<Fleet, 'doubt'>, options: RefereeOptions) {
    this.#fleet = fleet;
    this.#options = options;
  }

  /** Of two hosts with one identity the one that comes is sent away, once they cannot be taken for one that comes again. */
  refuse({ id, network, host }: AgentState, holder: Contender | undefined, comer: Contender): Refusal | undefined {
    const outcome = this.#duels.meet(id, holder, comer);
    if (holder === undefined || outcome === 'replace') return undefined;
    const { logger, audit } = this.#options;
    const places = `${holder.peer} and ${comer.peer}`;
    const reason =
      `two hosts have the keys of ${host}: ${places}. The copy needs keys of its own: start it with an empty directory (--data) ` +
      'and a token of its own; where no copy was made, the keys were stolen: weft revoke';
    if (outcome === 'begin') {
      logger.error(
        { event: 'agent-twice', network, host, agent: id, peers: places },
        'two hosts have the keys of one agent',
      );
      const act = {
        actor: CONTROL,
        action: 'agent-twice',
        network,
        subject: `agent ${host}`,
        revision: 0,
        detail: places,
      };
      audit.record(act).catch((err: unknown) => {
        logger.error({ event: 'agent-twice-not-recorded', agent: id, err }, 'it could not be written down');
      });
    }
    this.#fleet.doubt(id, { code: 'agent-twice', subject: host, message: reason }, this.#duels.standsForMs(id));
    return held(`${reason}. This one is served when the other is gone`, { retryMs: AWAY_MS });
  }
}
