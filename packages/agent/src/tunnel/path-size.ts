/** What a path lets through, as far as probes have shown (RFC 8899): nothing here waits for ICMP. Sizes are of UDP payloads, in bytes. */
import { GREATEST_PACKET_LIMIT, PROBED_SIZES } from '../protocol/datagram/format.ts';

/** Rounds in a row whose proven size stays unanswered while a smaller is: the path takes less than it did. */
const DOUBTS = 2;
/** Probes that may still be answered: those of the last few rounds. */
const PROBES_OUT = 32;
/** Milliseconds between tries of sizes over the proven one. */
const RAISE = 60_000;

/**
 * How long a path is taken for as small as it was when it last answered, milliseconds (RFC 8201 section 4 keeps one for ten
 * minutes). What is over that would become a TCP segment that never passes; an answer may be lost or late, and where UDP is
 * blocked from now on, nothing but the tunnel is left.
 */
const SHOWN_KEPT = 600_000;

/** What the paths to a peer have shown last to pass, for those of its tunnels that have no answer yet. */
export interface ShownSize {
  /** 0 when nothing was. */
  size: number;
  /** When, monotonic milliseconds. */
  at: number;
}

export class PathSize {
  readonly #shown: ShownSize;
  #size: number = 0;
  /** What the peer takes at most. */
  #most: number = GREATEST_PACKET_LIMIT;
  /** Largest that was answered since the last round, and rounds in a row in which that was less than the proven. */
  #answered = 0;
  #doubts = 0;
  #raiseAt = 0;
  /** Sizes of the probes that are out, by id. */
  readonly #probes = new Map<number, number>();

  constructor(shown: ShownSize) {
    this.#shown = shown;
  }

  /** The largest packet shown to pass; 0 while none has. */
  get size(): number {
    return this.#size;
  }

  /** What such a path had shown to pass a while ago at most, where that was less than the peer takes; else 0. */
  small(now: number): number {
    return this.#shown.size < this.#most && now - this.#shown.at < SHOWN_KEPT ? this.#shown.size : 0;
  }

  get doubted(): boolean {
    return this.#doubts > 0;
  }

  /** Whether larger ones are to be tried now. */
  raises(now: number): boolean {
    return now >= this.#raiseAt && this.#size < GREATEST_PACKET_LIMIT;
  }

  /** The peer takes no more than this. */
  bound(largest: number): void {
    this.#most = largest;
    this.#size = Math.min(this.#size, largest);
  }

  /** Nothing is known to pass any more. */
  lose(): void {
    this.#size = 0;
    this.#doubts = 0;
  }

  /** Answers to what was sent so far say nothing of the path that is asked of now. */
  forget(): void {
    this.#probes.clear();
  }

  /** Begins a round: looks back at the last, and answers with the sizes that are in question, up to `largest`. */
  round(largest: number, now: number): readonly number[] {
    if (this.#size > 0) this.#doubt(now);
    this.#answered = 0;
    // Where nothing was answered yet, whoever is there is sent little: as much as passes in most places, and the least.
    if (this.#size === 0) {
      const least = PROBED_SIZES.at(-1) ?? largest;
      const small = this.small(now);
      return small > least ? [largest, small, least] : [largest, least];
    }
    const raises = this.raises(now);
    if (raises) this.#raiseAt = now + RAISE;
    const others = PROBED_SIZES.filter(
      (size) => size <= largest && (size > this.#size ? raises : size < this.#size && this.doubted),
    );
    return [this.#size, ...others];
  }

  sent(id: number, size: number): void {
    this.#probes.set(id, size);
    if (this.#probes.size > PROBES_OUT) this.#probes.delete(this.#probes.keys().next().value ?? id);
  }

  /** A probe came back; undefined when none such is out. */
  answer(id: number, now: number): 'grown' | 'known' | undefined {
    const sent = this.#probes.get(id);
    if (sent === undefined) return undefined;
    this.#probes.delete(id);
    // A probe of a session before may have been larger than what the peer takes in this one.
    const size = Math.min(sent, this.#most);
    this.#answered = Math.max(this.#answered, size);
    const grown = size > this.#size;
    if (grown && this.#size === 0) this.#raiseAt = 0;
    if (grown) this.#size = size;
    this.#shown.size = this.#size;
    this.#shown.at = now;
    return grown ? 'grown' : 'known';
  }

  #doubt(now: number): void {
    this.#doubts = this.#answered < this.#size ? this.#doubts + 1 : 0;
    if (this.#doubts < DOUBTS || this.#answered === 0) return;
    this.#size = this.#answered;
    this.#shown.size = this.#size;
    this.#doubts = 0;
    this.#raiseAt = now + RAISE;
  }
}
