/**
 * Who is signed in. A session is 32 random bytes that the browser holds in a cookie; here stands only their hash, in memory,
 * so that a restart of control signs everyone out and nothing that is read from here signs anyone in.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Role } from './api.ts';

export interface Session {
  readonly role: Role;
  /** Aborts when it is over, for whichever reason. */
  readonly ended: AbortSignal;
}

export interface NewSession {
  /** For the cookie, and nowhere else. */
  readonly secret: string;
  readonly session: Session;
}

export interface SessionLimits {
  /** Of one role: who sees cannot push out who acts. */
  readonly each: number;
  readonly idleMs: number;
  readonly absoluteMs: number;
}

export const SESSION_LIMITS: SessionLimits = { each: 500, idleMs: 3_600_000, absoluteMs: 43_200_000 };

interface Kept extends Session {
  readonly key: string;
  readonly startedMs: number;
  readonly ending: AbortController;
  usedMs: number;
}

export class Sessions {
  readonly #steady: () => number;
  readonly #limits: SessionLimits;
  /** By hash of the secret, oldest first. */
  readonly #kept = new Map<string, Kept>();

  /** By a clock that never goes back: one that does would prolong what is to end. */
  constructor(steady: () => number, limits: SessionLimits = SESSION_LIMITS) {
    this.#steady = steady;
    this.#limits = limits;
  }

  /** When there are too many of this role, the oldest makes room. */
  open(role: Role): NewSession {
    const now = this.#steady();
    const alike = [...this.#kept.values()].filter((one) => one.role === role && this.#live(one, now));
    for (const oldest of alike.slice(0, Math.max(0, alike.length - this.#limits.each + 1))) this.#end(oldest);
    const secret = randomBytes(32).toString('base64url');
    const key = hashed(secret);
    const ending = new AbortController();
    const session: Kept = { key, role, startedMs: now, usedMs: now, ending, ended: ending.signal };
    this.#kept.set(key, session);
    return { secret, session };
  }

  /** The session that the cookie stands for, which is thereby used. */
  find(secret: string | undefined): Session | undefined {
    if (secret === undefined || secret.length > 64) return undefined;
    const session = this.#kept.get(hashed(secret));
    return session !== undefined && this.#use(session) ? session : undefined;
  }

  /** Whether it is not over yet. An open stream is use: a page that someone looks at stays signed in. */
  use(session: Session): boolean {
    return session.ended.aborted ? false : this.#use(session as Kept);
  }

  /** For how long it is still good if it is not used any more. */
  remainingMs(session: Session): number {
    return Math.max(0, this.#endsMs(session as Kept) - this.#steady());
  }

  end(session: Session): void {
    this.#end(session as Kept);
  }

  close(): void {
    for (const session of [...this.#kept.values()]) this.#end(session);
  }

  #use(session: Kept): boolean {
    const now = this.#steady();
    if (!this.#live(session, now)) return false;
    session.usedMs = now;
    return true;
  }

  #live(session: Kept, now: number): boolean {
    if (now < this.#endsMs(session)) return true;
    this.#end(session);
    return false;
  }

  #endsMs({ startedMs, usedMs }: Kept): number {
    return Math.min(startedMs + this.#limits.absoluteMs, usedMs + this.#limits.idleMs);
  }

  #end(session: Kept): void {
    this.#kept.delete(session.key);
    session.ending.abort(new Error('the session is over'));
  }
}

function hashed(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}

/**
 * Milliseconds from a beginning of no meaning. It goes by the monotonic clock, and by the host's where that one ran ahead, as
 * it does over a suspend: what is to end then, such as a session, does not live longer for it. A clock that is set forward
 * ends things early, which is the safe mistake.
 */
export function steadyClock(now: () => number, monotonic: () => number = () => performance.now()): () => number {
  let aheadMs = Number.NEGATIVE_INFINITY;
  return () => {
    const at = monotonic();
    aheadMs = Math.max(aheadMs, now() - at);
    return at + aheadMs;
  };
}
