/** How many of what costs much may be under way at once. Each role has places of its own: who may only read cannot shut out who acts. */
import type { Actor } from '../audit/types.ts';

type Role = Actor['role'];

/** Streams, watches, or questions, of one sort. */
export const MOST_STREAMS: Readonly<Record<Role, number>> = { read: 48, admin: 16 };

export class RolePlaces {
  readonly most: Readonly<Record<Role, number>>;
  readonly #taken: Record<Role, number> = { read: 0, admin: 0 };

  constructor(most: Readonly<Record<Role, number>> = MOST_STREAMS) {
    this.most = most;
  }

  /** Answers what leaves it, to be called once; undefined where all are taken. */
  take(role: Role): (() => void) | undefined {
    if (this.#taken[role] >= this.most[role]) return undefined;
    this.#taken[role] += 1;
    return () => {
      this.#taken[role] -= 1;
    };
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
