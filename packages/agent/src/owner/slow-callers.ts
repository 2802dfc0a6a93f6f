/** Callers that wait for a walk through processes: how many may, and who comes next. */
import type { Group } from './asked.ts';

/** Of one user, and in all. */
export const MOST_SLOW = 1_024;
const MOST_IN_ALL = 2_048;

export class SlowCallers {
  readonly #groups: Group[] = [];
  /** User of those that came last. */
  #last: number | undefined;

  /** Answers whether there is room for them. */
  add(group: Group): boolean {
    const { uid, path, asked } = group;
    const own = this.#groups.filter((each) => each.uid === uid);
    if (countOf(own) + asked.length > MOST_SLOW || countOf(this.#groups) + asked.length > MOST_IN_ALL) return false;
    const same = own.find((each) => each.path === path);
    if (same === undefined) this.#groups.push(group);
    else same.asked.push(...asked);
    return true;
  }

  /** Another user's behind one's, who may have calls of as many control groups as they like. */
  next(): Group | undefined {
    const at = this.#groups.findIndex(({ uid }) => uid !== this.#last);
    const [group] = this.#groups.splice(Math.max(0, at), 1);
    this.#last = group?.uid;
    return group;
  }
}

function countOf(groups: readonly Group[]): number {
  return groups.reduce((sum, { asked }) => sum + asked.length, 0);
}
