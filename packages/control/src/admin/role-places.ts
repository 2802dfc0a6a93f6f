/** How many of what costs much may be under way at once. Each role has places of its own: who may only read cannot shut out who acts. */
import type { Actor } from '../audit/types.ts';

type Role = Actor['role'];

/** Streams, watches, or questions, of one sort. */
export const MOST_STREAMS: Readonly<Record<Role, number>> = { read: 48, admin: 16 };

export class RolePlaces {
  readonly most: Readonly<Record<Role, number>>;
  readonly #taken: Record<Role, number> = { read: 0, admin: 0 };
  /** Who waits for a place, first come first. */
  readonly #waiting: Readonly<Record<Role, Set<() => void>>> = { read: new Set(), admin: new Set() };

  constructor(most: Readonly<Record<Role, number>> = MOST_STREAMS) {
    this.most = most;
  }

  /** Answers what leaves it, to be called once; undefined where all are taken. */
  take(role: Role): (() => void) | undefined {
    if (this.#taken[role] >= this.most[role]) return undefined;
    this.#taken[role] += 1;
    return () => this.#leave(role);
  }

  /**
   * Does the work in a place, and waits for one where all are taken. Throws `refused` of how many wait where as many wait as there may, and
   * rejects with the signal's reason.
   */
  async inTurn<T>(
    role: Role,
    refused: (waiting: number) => Error,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const leave = this.take(role) ?? (await this.#turn(role, refused, signal));
    try {
      return await work();
    } finally {
      leave();
    }
  }

  #turn(role: Role, refused: (waiting: number) => Error, signal: AbortSignal): Promise<() => void> {
    const waiting = this.#waiting[role];
    if (waiting.size >= MOST_STREAMS[role]) throw refused(waiting.size);
    return new Promise((resolve, reject) => {
      const comes = (): void => {
        waiting.delete(comes);
        signal.removeEventListener('abort', gone);
        resolve(() => this.#leave(role));
      };
      const gone = (): void => {
        waiting.delete(comes);
        reject(signal.reason);
      };
      waiting.add(comes);
      signal.addEventListener('abort', gone, { once: true });
    });
  }

  /** The place passes to who has waited longest, so that nobody who comes later is before them. */
  #leave(role: Role): void {
    const [next] = this.#waiting[role];
    if (next === undefined) this.#taken[role] -= 1;
    else next();
  }

  /** Does the work in a place. Throws `refused` of how many there are where all are taken. */
  async within<T>(role: Role, refused: (most: number) => Error, work: () => Promise<T>): Promise<T> {
    const leave = this.take(role);
    if (leave === undefined) throw refused(this.most[role]);
    try {
      return await work();
    } finally {
      leave();
    }
  }
}
