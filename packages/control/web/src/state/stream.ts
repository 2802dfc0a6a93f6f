/**
 * The live connection: server-sent events of one network. The browser takes up a broken one again by itself, with the id of
 * the last event it had; when it gives up, since something answered that is no stream, this starts anew. Silence counts as
 * a break too: a connection can be dead without telling.
 */
import type { FlowsEvent, LiveEvent } from '../../../src/dashboard/api.ts';

export const SILENCE_MS = 5_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;

export interface StreamHandler {
  live(event: LiveEvent): void;
  flows(event: FlowsEvent): void;
  /** Nothing came for a while, or the connection broke. */
  silent(): void;
  /** Resolves to whether it is worth another try: not when the session is over. */
  gaveUp(): Promise<boolean>;
}

export interface StreamParts {
  readonly open: (url: string) => EventSource;
  readonly now: () => number;
}

export class Stream {
  readonly #url: string;
  readonly #handler: StreamHandler;
  readonly #parts: StreamParts;
  readonly #watch: ReturnType<typeof setInterval>;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #waitMs = FIRST_WAIT_MS;
  #heardAt: number;
  #closed = false;

  constructor(url: string, handler: StreamHandler, parts: StreamParts) {
    this.#url = url;
    this.#handler = handler;
    this.#parts = parts;
    this.#heardAt = parts.now();
    this.#watch = setInterval(() => {
      if (parts.now() - this.#heardAt > SILENCE_MS) handler.silent();
    }, 1_000);
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#source?.close();
  }

  #connect(): void {
    const source = this.#parts.open(this.#url);
    this.#source = source;
    source.addEventListener('live', (event: MessageEvent<string>) => {
      this.#heard();
      this.#handler.live(JSON.parse(event.data) as LiveEvent);
    });
    source.addEventListener('flows', (event: MessageEvent<string>) => {
      this.#heard();
      this.#handler.flows(JSON.parse(event.data) as FlowsEvent);
    });
    source.addEventListener('error', () => {
      this.#handler.silent();
      // Otherwise the browser tries again by itself.
      if (source.readyState === source.CLOSED) void this.#again();
    });
  }

  #heard(): void {
    this.#heardAt = this.#parts.now();
    this.#waitMs = FIRST_WAIT_MS;
  }

  async #again(): Promise<void> {
    const goOn = await this.#handler.gaveUp();
    if (!goOn || this.#closed) return;
    this.#retry = setTimeout(() => this.#connect(), this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }
}
