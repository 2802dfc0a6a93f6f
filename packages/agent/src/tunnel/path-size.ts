/** What a path lets through, as far as probes have shown (RFC 8899): nothing here waits for ICMP. Sizes are of UDP payloads, in bytes. */
import { GREATEST_PACKET_LIMIT, PROBED_SIZES } from '../protocol/datagram/format.ts';

/** Rounds in a row whose proven size stays unanswered while a smaller is: the path takes less than it did. */
const DOUBTS = 2;
/** Probes that may still be answered: those of the last few rounds. */
const PROBES_OUT = 32;
/** Milliseconds between tries of sizes over the proven one. */
const RAISE = 60_000;

export class PathSize {
  #size: number = 0;
  /** What the peer takes at most, and what was proven last, though it is lost now. */
  #most: number = GREATEST_PACKET_LIMIT;
  #last: number = 0;
  /** Largest that was answered since the last round, and rounds in a row in which that was less than the proven. */
  #answered = 0;
  #doubts = 0;
  #raiseAt = 0;
  /** Sizes of the probes that are out, by id. */
  readonly #probes = new Map<number, number>();

  /** The largest packet shown to pass; 0 while none has. */
  get size(): number {
    return this.#size;
  }

  /** What a path that is lost had shown to pass, where that was less than the peer takes; else 0. */
  get small(): number {
    return this.#last < this.#most ? this.#last : 0;
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
    if (this.#size > 0) this.#last = this.#size;
    this.#size = 0;
    this.#doubts = 0;
  }

  /** Answers to what was sent so far say nothing of the path that is asked of now. */
  forget(): void {
    this.#last = 0;
    this.#probes.clear();
  }

  /** Begins a round: looks back at the last, and answers with the sizes that are in question, up to `largest`. */
  round(largest: number, now: number): readonly number[] {
    if (this.#size > 0) this.#doubt(now);
    this.#answered = 0;
    // Where nothing was answered yet, whoever is there is sent little: as much as passes in most places, and the least.
    if (this.#size === 0) {
      const least = PROBED_SIZES.at(-1) ?? largest;
      return this.#last > least && this.#last < largest ? [largest, this.#last, least] : [largest, least];
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
  answer(id: number): 'grown' | 'known' | undefined {
    const sent = this.#probes.get(id);
    if (sent === undefined) return undefined;
    this.#probes.delete(id);
    // A probe of a session before may have been larger than what the peer takes in this one.
    const size = Math.min(sent, this.#most);
    this.#answered = Math.max(this.#answered, size);
    if (size <= this.#size) return 'known';
    if (this.#size === 0) this.#raiseAt = 0;
    this.#size = size;
    return 'grown';
  }

  #doubt(now: number): void {
    this.#doubts = this.#answered < this.#size ? this.#doubts + 1 : 0;
    if (this.#doubts < DOUBTS || this.#answered === 0) return;
    this.#size = this.#answered;
    this.#doubts = 0;
    this.#raiseAt = now + RAISE;
  }
}
