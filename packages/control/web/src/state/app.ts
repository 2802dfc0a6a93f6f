/** The page's state: who is signed in, which view of which network is open, and what is known of it. */
import { batch, computed, effect, type ReadonlySignal, type Signal, signal, untracked } from '@preact/signals';
import type { RevokeTokenResponseJson } from '@weft/proto/messages';
import type { Session } from '../../../src/dashboard/api.ts';
import type { LayoutMemory } from '../map/keeper.ts';
import { Api, queryString, RefusedError } from './api.ts';
import { FlowTail } from './flow-tail.ts';
import { LiveStore } from './live.ts';
import { hashOf, parseRoute, type Route, type ViewName } from './route.ts';
import { Sampler } from './sampling.ts';
import { Stream } from './stream.ts';

const ASK_AGAIN_MS = 20_000;

export type Presence =
  | { readonly kind: 'asking' }
  | { readonly kind: 'out'; readonly ended: boolean }
  | { readonly kind: 'away'; readonly message: string }
  | { readonly kind: 'in'; readonly session: Session };

/** A membership or a token that was ended. */
export interface Revoked extends Pick<RevokeTokenResponseJson, 'stragglers' | 'notKept'> {
  readonly what: string;
}

export class App {
  readonly api = new Api(() => this.#ended());
  readonly live = new LiveStore();
  readonly flows = new FlowTail((work) => void requestAnimationFrame(work));
  readonly presence: Signal<Presence> = signal({ kind: 'asking' });
  readonly route: Signal<Route> = signal(parseRoute(location.hash));
  /** Why control sends no live updates; empty while it does, or cannot be asked. */
  readonly refusal = signal('');
  /** What a screen reader is told of; replaced by the next. */
  readonly said = signal('');
  /** A revocation that not every host has taken up, for as long as it is told. */
  readonly unkept: Signal<Revoked | undefined> = signal(undefined);
  /** Now by control's clock, by the second; stands still while data is stale. */
  readonly now: Signal<number> = signal(Date.now());
  readonly session: ReadonlySignal<Session | undefined> = computed(() => {
    const presence = this.presence.value;
    return presence.kind === 'in' ? presence.session : undefined;
  });
  /** Empty when control has none yet. */
  readonly network: ReadonlySignal<string> = computed(() => {
    const networks = this.session.value?.networks ?? [];
    const asked = this.route.value.query.network;
    return networks.find((name) => name === asked) ?? networks[0] ?? '';
  });
  readonly #signedIn = computed(() => this.session.value !== undefined);
  readonly #sampler = new Sampler();
  readonly #layouts = new Map<string, LayoutMemory>();
  #behindMs = 0;

  /** Where everything stood on the map of a network. */
  layoutsOf(network: string): LayoutMemory {
    const known = this.#layouts.get(network) ?? new Map();
    this.#layouts.set(network, known);
    return known;
  }

  /** Until the returned function is called. */
  start(): () => void {
    const follow = (): void => {
      this.route.value = parseRoute(location.hash);
    };
    addEventListener('hashchange', follow);
    const tick = setInterval(() => {
      this.#tellSampling();
      if (this.live.connection.value === 'live') this.now.value = Date.now() - this.#behindMs;
    }, 1_000);
    const stop = effect(() => {
      const signedIn = this.#signedIn.value;
      const network = this.network.value;
      return untracked(() => (signedIn ? this.#stream(network) : undefined));
    });
    // Networks come, and sessions end.
    const askAgain = setInterval(() => void this.ask(), ASK_AGAIN_MS);
    void this.ask();
    return () => {
      stop();
      clearInterval(tick);
      clearInterval(askAgain);
      removeEventListener('hashchange', follow);
    };
  }

  /** Whether this browser is signed in already. */
  async ask(): Promise<boolean> {
    try {
      this.enter(await this.api.session());
      return true;
    } catch (error) {
      if (error instanceof RefusedError && error.status === 401) {
        this.#ended();
        return false;
      }
      if (this.presence.value.kind !== 'in') this.presence.value = { kind: 'away', message: messageOf(error) };
      return true;
    }
  }

  enter(session: Session): void {
    const { presence } = this;
    if (presence.value.kind === 'in' && JSON.stringify(presence.value.session) === JSON.stringify(session)) return;
    presence.value = { kind: 'in', session };
  }

  async signOut(): Promise<void> {
    await this.api.signOut();
    this.presence.value = { kind: 'out', ended: false };
  }

  /** Where a view is; keeps to the network that is chosen, when it is not the first. */
  link(view: ViewName, name = '', query: Readonly<Record<string, string | undefined>> = {}): string {
    return hashOf(view, name, { ...query, network: query.network ?? this.#networkInLinks() });
  }

  go(view: ViewName, name = '', query: Readonly<Record<string, string | undefined>> = {}): void {
    location.hash = this.link(view, name, query);
  }

  /** As `go`, and the way back skips what was there: for filters, which change with each key. */
  replace(view: ViewName, name = '', query: Readonly<Record<string, string | undefined>> = {}): void {
    history.replaceState(null, '', this.link(view, name, query));
    this.route.value = parseRoute(location.hash);
  }

  say(text: string): void {
    this.said.value = text;
  }

  revoked(answer: Revoked): void {
    this.say(`Revoked ${answer.what}`);
    if (answer.stragglers !== undefined || answer.notKept !== undefined) this.unkept.value = answer;
  }

  #tellSampling(): void {
    const { sampled } = this.live;
    const now = this.#sampler.at(performance.now());
    const before = sampled.peek();
    if (now?.shown !== before?.shown || now?.ended !== before?.ended) sampled.value = now;
  }

  #networkInLinks(): string | undefined {
    const network = this.network.peek();
    return network === this.session.peek()?.networks[0] ? undefined : network;
  }

  #ended(): void {
    this.presence.value = { kind: 'out', ended: this.presence.peek().kind === 'in' };
  }

  /** The stream of a network, for as long as it is chosen. Without a network it is asked now and then whether one came. */
  #stream(network: string): (() => void) | undefined {
    batch(() => {
      this.live.clear();
      this.flows.clear();
      this.refusal.value = '';
    });
    if (network === '') {
      const again = setInterval(() => void this.ask(), 3_000);
      return () => clearInterval(again);
    }
    const stream = new Stream(
      `api/live${queryString({ network })}`,
      {
        live: (event) => {
          this.#behindMs = Date.now() - event.atMs;
          this.now.value = event.atMs;
          this.live.apply(event);
          this.refusal.value = '';
        },
        flows: (event) => {
          this.#sampler.add(event, performance.now());
          this.flows.add(event.flows);
        },
        silent: () => {
          if (this.live.connection.peek() === 'live') this.live.connection.value = 'stale';
        },
        gaveUp: async () => {
          const signedIn = await this.ask();
          if (signedIn) this.refusal.value = await this.api.refusalOfLive(network);
          return signedIn;
        },
      },
      { open: (url) => new EventSource(url), now: () => performance.now() },
    );
    return () => stream.close();
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
