/**
 * Questions under way, and which of them makes room where too many wait. One domain whose servers are silent must not stop the names of all others, by
 * whatever rate it is asked for: a domain that has half of all places gives one up to whoever asks for another.
 */
import { entryOf } from '@weft/proto';

/** A question that has waited so long makes room: what is answered at all mostly is within. Bounds what a flood costs, each with sockets of its own. */
const ROOM_AFTER_MS = 500;
/** Of two labels: below it whoever has the names of one server has as many as they like. */
const DOMAIN_LABELS = 2;

export interface Waiting {
  readonly domain: string;
  /** Of performance.now(). */
  readonly sinceMs: number;
  readonly waiters: { readonly length: number };
}

export interface WaitingBounds {
  readonly questions: number;
  readonly waiters: number;
}

export class WaitingQuestions<T extends Waiting> {
  readonly #bounds: WaitingBounds;
  /** Oldest first. */
  readonly #all = new Map<string, T>();
  /** Each oldest first. */
  readonly #ofDomain = new Map<string, Set<string>>();
  #waiters = 0;

  constructor(bounds: WaitingBounds) {
    this.#bounds = bounds;
  }

  get(key: string): T | undefined {
    return this.#all.get(key);
  }

  keys(): readonly string[] {
    return [...this.#all.keys()];
  }

  add(key: string, question: T): void {
    this.#all.set(key, question);
    this.#waiters += question.waiters.length;
    entryOf(this.#ofDomain, question.domain, () => new Set()).add(key);
  }

  /** One more waits for a question that is known. */
  joined(): void {
    this.#waiters += 1;
  }

  delete(key: string): T | undefined {
    const question = this.#all.get(key);
    if (question === undefined) return undefined;
    this.#all.delete(key);
    this.#waiters -= question.waiters.length;
    const ofDomain = this.#ofDomain.get(question.domain);
    ofDomain?.delete(key);
    if (ofDomain?.size === 0) this.#ofDomain.delete(question.domain);
    return question;
  }

  /** The key of what is to make room for one more who asks this; undefined where none needs to, false where none may. */
  roomFor(key: string, domain: string, nowMs: number): string | undefined | false {
    const known = this.#all.has(key);
    if (this.#waiters >= this.#bounds.waiters) {
      const dearest = this.#dearest();
      return dearest !== key && dearest;
    }
    if (known || this.#all.size < this.#bounds.questions) return undefined;
    const greatest = this.#greatest();
    const hasHalf = greatest.questions * 2 >= this.#all.size;
    const [oldest] = this.#all.keys();
    const [oldestOfIt] = this.#ofDomain.get(greatest.domain) ?? [];
    if (hasHalf && greatest.domain !== domain) return oldestOfIt;
    const longEnough = (candidate: string | undefined): boolean =>
      candidate !== undefined && nowMs - (this.#all.get(candidate)?.sinceMs ?? nowMs) >= ROOM_AFTER_MS;
    // It gets none of others' places: each of its own is young, where it is asked for faster than that.
    return (hasHalf ? [oldestOfIt] : [oldestOfIt, oldest]).find(longEnough) ?? false;
  }

  /** Whose names take most of what there is none left of, once there is no room. */
  get crowding(): string {
    if (this.#waiters < this.#bounds.waiters) return this.#greatest().domain;
    return this.#all.get(this.#dearest())?.domain ?? '';
  }

  /** The domain of which most questions wait, the oldest of those. */
  #greatest(): { readonly domain: string; readonly questions: number } {
    let greatest = { domain: '', questions: 0 };
    for (const [domain, { size }] of this.#ofDomain)
      if (size > greatest.questions) greatest = { domain, questions: size };
    return greatest;
  }

  /** The question that most wait for. */
  #dearest(): string {
    let dearest = { key: '', waiters: 0 };
    for (const [key, { waiters }] of this.#all)
      if (waiters.length > dearest.waiters) dearest = { key, waiters: waiters.length };
    return dearest.key;
  }
}

/** Whose share of the places a question counts to. */
export function domainOf(labels: readonly string[]): string {
  return labels.slice(-DOMAIN_LABELS).join('.');
}
