/**
 * What of this host the guard is to close, and whether it does: the agent says what, whoever may change the firewall does it and says so
 * again and again. The agent itself needs no such right.
 */
import { createHash } from 'node:crypto';
import { type AddressRange, byText, defined, formatRange, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import { readGuardFile, type ToBeClosed, writeGuardFile } from '../guard/guard-file.ts';
import type { ServicePlace } from '../inbound/exposure.ts';
import type { GuardAnswer, ReadQuestion } from '../observe/local-question.ts';
import { type Place, placeKey } from '../words/place.ts';
import type { Problems } from '../words/problems.ts';

/** A word that something is closed is believed for so long: it is said anew each second. */
const BELIEVED_MS = 10_000;
/** What was to be closed a moment ago may be what is. */
const MOST_KNOWN = 8;
const NOT_KEPT = { code: 'guard-not-kept', subject: 'guard' } as const;
const NOT_WRITTEN = { code: 'guard-not-written', subject: 'guard.json' } as const;

export interface HostGuardOptions {
  readonly directory: string;
  readonly range: AddressRange;
  readonly problems: Problems;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Monotonic, milliseconds. */
  readonly now?: () => number;
}

type Question = Extract<ReadQuestion, { ask: 'guard' }>;

export class HostGuard {
  readonly #options: HostGuardOptions;
  readonly #range: string;
  readonly #user: Pick<ToBeClosed, 'user'> = defined({ user: process.getuid?.() });
  readonly #now: () => number;
  /** By its number, the keys of the places. */
  readonly #known = new Map<string, ReadonlySet<string>>();
  #wanted: boolean;
  #places: () => readonly ServicePlace[];
  #closed: ReadonlySet<string> = new Set();
  #heardMs: number;
  #keptMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  /** Number of the places in the file; empty where it is to be written anew. */
  #written: string | undefined;

  /** A file that cannot be read is a wish of which nobody knows what it is of: it stands, and what listens now is closed. */
  static async open(options: HostGuardOptions): Promise<HostGuard> {
    try {
      return new HostGuard(options, await readGuardFile(options.directory));
    } catch (error) {
      options.logger.warn(
        { event: 'guard-file-damaged', reason: messageOf(error) },
        'guard.json cannot be read; what listens now is closed',
      );
      return new HostGuard(options, { places: [], range: '' });
    }
  }

  private constructor(options: HostGuardOptions, wish: ToBeClosed | undefined) {
    this.#options = options;
    this.#range = formatRange(options.range);
    this.#now = options.now ?? performance.now.bind(performance);
    this.#wanted = wish !== undefined;
    this.before = wish?.places ?? [];
    // A file that is damaged, or of another range or user, is written anew.
    if (wish !== undefined) {
      const isOfNow = wish.range === this.#range && wish.user === this.#user.user;
      this.#written = isOfNow ? numberOf(wish.places.map(placeKey)) : '';
    }
    this.#places = () => this.before;
    this.#heardMs = this.#now();
    const timer = setInterval(() => this.look(), BELIEVED_MS / 4).unref();
    options.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** What was to be closed before the agent's start. */
  readonly before: readonly ServicePlace[];

  /** Once, when it is known what listens. */
  follow(places: () => readonly ServicePlace[]): void {
    this.#places = places;
  }

  /** Whether it is known to be closed now. */
  isClosed(place: Place): boolean {
    return this.#isHeard && this.#closed.has(placeKey(place));
  }

  /** Rejects where the wish cannot be kept. */
  async answer({ want, closed, keeps }: Question): Promise<GuardAnswer> {
    if (want !== undefined) await this.#want(want);
    const { places, number } = this.#toClose();
    // Whoever keeps it may not have heard yet that it is to go.
    if (closed !== undefined && this.#wanted) this.#hear(closed);
    if (keeps !== undefined) this.#keptMs = keeps ? this.#now() : Number.NEGATIVE_INFINITY;
    if (this.#wanted && this.#written !== number) this.#keep(places, number);
    const kept = this.#now() - this.#keptMs < BELIEVED_MS;
    return { wanted: this.#wanted, places, range: this.#range, ...this.#user, number, kept };
  }

  /** Tells of a guard that is wanted, and nobody says that it is there. */
  look(): void {
    const { problems } = this.#options;
    if (!this.#wanted || this.#isHeard) problems.clear(NOT_KEPT.code, NOT_KEPT.subject);
    else
      problems.raise({
        ...NOT_KEPT,
        message:
          'the guard of this host is on, and nothing keeps it, so nobody knows whether its table still stands, and what changes here is not ' +
          'closed; as root: systemctl enable --now weft-guard, or weft guard keep; or take it away: weft guard off',
      });
  }

  get #isHeard(): boolean {
    return this.#now() - this.#heardMs < BELIEVED_MS;
  }

  #toClose() {
    const places = this.#places();
    const keys = places.map(placeKey);
    const number = numberOf(keys);
    this.#known.delete(number);
    this.#known.set(number, new Set(keys));
    for (const oldest of this.#known.keys()) if (this.#known.size > MOST_KNOWN) this.#known.delete(oldest);
    return { places, number };
  }

  #hear(number: string): void {
    const closed = this.#known.get(number);
    if (closed === undefined) return;
    this.#closed = closed;
    this.#heardMs = this.#now();
    this.look();
  }

  async #want(want: boolean): Promise<void> {
    const { places, number } = this.#toClose();
    // In its turn, so that no older write comes after it.
    const written = this.#writing.then(() => this.#write(want ? places : undefined));
    this.#writing = written.catch(() => {});
    await written;
    this.#wanted = want;
    this.#written = want ? number : undefined;
    this.#options.problems.clear(NOT_WRITTEN.code, NOT_WRITTEN.subject);
    if (!want) this.#closed = new Set();
    this.#heardMs = this.#now();
  }

  /** It is written after it is closed, not before: what is lost costs a moment at the next start. */
  #keep(places: readonly ServicePlace[], number: string): void {
    this.#written = number;
    this.#writing = this.#writing
      .then(() => (this.#wanted ? this.#write(places) : undefined))
      .then(() => this.#options.problems.clear(NOT_WRITTEN.code, NOT_WRITTEN.subject))
      .catch((err: unknown) => this.#notWritten(err));
  }

  /** It is tried again at the keeper's next word. */
  #notWritten(err: unknown): void {
    const { problems, logger } = this.#options;
    // Not where another has been written since, or is not wanted any more.
    if (this.#wanted) this.#written = '';
    const message =
      `guard.json cannot be written, so after a restart of this host what has changed since is open until the agent is up; it is tried again: ${messageOf(err)}; ` +
      'see to the disk, and to who owns the directory of --data';
    if (!problems.current.some(({ code }) => code === NOT_WRITTEN.code))
      logger.error({ event: 'guard-not-kept', err }, 'guard.json cannot be written');
    problems.raise({ ...NOT_WRITTEN, message });
  }

  #write(places: readonly ServicePlace[] | undefined): Promise<void> {
    return writeGuardFile(
      this.#options.directory,
      places && { places: [...places], range: this.#range, ...this.#user },
    );
  }
}

function numberOf(keys: readonly string[]): string {
  return createHash('sha256')
    .update([...keys].sort(byText).join('\n'))
    .digest('hex')
    .slice(0, 16);
}
