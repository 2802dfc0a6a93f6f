/**
 * What goes to everyone who looks at one network. While somebody does, the state is looked at once a second and compared with
 * what it was; each viewer is then sent what changed since they were last sent anything. A viewer whose connection has not
 * taken what it was given is passed over, and later gets the newest: nothing is kept for it but a number.
 */
import { entryOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { WatchedFlow } from '../flows/types.ts';
import { FlowSampler, type GatheredFlows } from './flow-sampler.ts';
import { Pieces, type PieceTexts } from './pieces.ts';

/** One who looks, by their connection. */
export interface Viewer {
  /** False while what was written before has not gone out. */
  ready(): boolean;
  /** False when the viewer may look no longer; it has been told so then. */
  permitted(): boolean;
  write(text: string): void;
  /** Nothing comes any more. */
  end(): void;
}

export interface LiveFeedOptions {
  /** Names this feed, so that no other's versions are taken for its own. */
  readonly id: string;
  /** Undefined when the network is not there. */
  readonly look: () => PieceTexts | undefined;
  readonly follow: (signal: AbortSignal) => AsyncIterable<WatchedFlow>;
  readonly now: () => number;
  /** For how long nothing was sent: it never goes back. */
  readonly steady: () => number;
  readonly logger: Logger;
}

interface Seat {
  readonly viewer: Viewer;
  /** The version last sent; undefined before the first. */
  sent: number | undefined;
  sentMs: number;
  /** Flow records left out for this one alone. */
  omitted: number;
}

const LOOK_MS = 1_000;
/** So that a page can tell a network in which nothing happens from a control that is gone. */
const QUIET_MS = 2_000;

export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #pieces = new Pieces();
  readonly #seats = new Set<Seat>();
  #timer: NodeJS.Timeout | undefined;
  #sampler: FlowSampler | undefined;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
  }

  /** `lastEventId` is that of the last event that the same page got, if any. Call what is returned when the viewer left. */
  join(viewer: Viewer, lastEventId: string | undefined): () => void {
    if (this.#seats.size === 0) this.#start();
    const seat: Seat = { viewer, sent: this.#resumed(lastEventId), sentMs: 0, omitted: 0 };
    this.#seats.add(seat);
    viewer.write('retry: 1000\n\n');
    this.#send(seat, this.#event(seat.sent));
    return () => {
      if (this.#seats.delete(seat) && this.#seats.size === 0) this.#stop();
    };
  }

  /** The network is gone. */
  end(): void {
    this.#stop();
    for (const { viewer } of this.#seats) viewer.end();
    this.#seats.clear();
  }

  #start(): void {
    const { follow, logger } = this.#options;
    this.#look();
    this.#timer = setInterval(() => this.#tick(), LOOK_MS).unref();
    this.#sampler = new FlowSampler({ follow, logger, emit: (flows) => this.#sendFlows(flows) });
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#sampler?.close();
  }

  #look(): void {
    const texts = this.#options.look();
    if (texts !== undefined) this.#pieces.update(texts);
  }

  #tick(): void {
    this.#look();
    const now = this.#options.steady();
    /** Most viewers were last sent the same version: the event is made once for all of them. */
    const events = new Map<number | undefined, string>();
    for (const seat of [...this.#seats]) {
      if (!seat.viewer.permitted() || !seat.viewer.ready()) continue;
      if (seat.sent === this.#pieces.version && now - seat.sentMs < QUIET_MS) continue;
      const { sent } = seat;
      const event = entryOf(events, sent, () => this.#event(sent));
      this.#send(seat, event);
    }
  }

  #event(since: number | undefined): string {
    const { id, now } = this.#options;
    return `id: ${id}-${this.#pieces.version}\nevent: live\ndata: ${this.#pieces.event(since, now())}\n\n`;
  }

  #send(seat: Seat, event: string): void {
    seat.sent = this.#pieces.version;
    seat.sentMs = this.#options.steady();
    seat.viewer.write(event);
  }

  #sendFlows({ texts, omitted }: GatheredFlows): void {
    const flows = texts.join();
    for (const seat of [...this.#seats]) {
      if (seat.viewer.ready()) {
        seat.viewer.write(`event: flows\ndata: {"flows":[${flows}],"omitted":${omitted + seat.omitted}}\n\n`);
        seat.omitted = 0;
      } else {
        seat.omitted += texts.length + omitted;
      }
    }
  }

  #resumed(lastEventId: string | undefined): number | undefined {
    const [, id, version] = /^([0-9a-f]{16})-(\d{1,15})$/.exec(lastEventId ?? '') ?? [];
    return id === this.#options.id && version !== undefined ? Number(version) : undefined;
  }
}
