/**
 * The set of places that are listened on, kept as the netmap wants it: new ones bound, those gone closed, failures told
 * place by place and tried again, while the rest works.
 */
import type { PortUse } from '../inbound/target-watch.ts';
import type { Problems } from '../observe/types.ts';
import { awaitedProblem, bindProblem, type PlaceProblem, sharedProblem } from './bind-problems.ts';
import { type Place, placeName } from './places.ts';

/** A bound place. Closing it lets live TCP connections be; the registry cuts those that may not go on. */
export interface BoundPlace {
  close(): void;
}

export interface ListenersOptions {
  readonly bind: (place: Place) => Promise<BoundPlace>;
  readonly portUse: (port: number, protocol: Place['protocol']) => PortUse;
  /** Whether this host runs the service itself. */
  readonly runsHere: (service: string) => boolean;
  readonly problems: Problems;
  /** Wait before a failed bind is tried again; doubled each time, to 30 s. */
  readonly retryMs?: number;
}

const LONGEST_RETRY_MS = 30_000;

interface Listening {
  readonly place: Place;
  state: 'idle' | 'binding' | 'bound' | 'failed';
  /** The bind under way. One that was given up finds another here, or none, and closes what it got. */
  attempt: object | undefined;
  bound: BoundPlace | undefined;
  retry: NodeJS.Timeout | undefined;
  failures: number;
  problem: PlaceProblem | undefined;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #places = new Map<string, Listening>();
  #closed: boolean = false;
  #binding = 0;
  #settled: (() => void)[] = [];

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** How many places are listened on. */
  get bound(): number {
    return [...this.#places.values()].filter(({ state }) => state === 'bound').length;
  }

  /** Makes the wanted places, by key, the ones that are listened on. */
  reconcile(wanted: ReadonlyMap<string, Place>): void {
    if (this.#closed) return;
    for (const [key, listening] of this.#places) {
      if (wanted.has(key)) continue;
      this.#places.delete(key);
      this.#release(listening);
      this.#tell(listening, undefined);
    }
    for (const [key, place] of wanted) {
      let listening = this.#places.get(key);
      if (listening === undefined) {
        listening = newListening(place);
        this.#places.set(key, listening);
      }
      this.#settle(listening);
    }
  }

  /** Resolves when no bind is under way: at once, most of the time. */
  settled(): Promise<void> {
    return this.#binding === 0 ? Promise.resolve() : new Promise((resolve) => this.#settled.push(resolve));
  }

  close(): void {
    this.#closed = true;
    for (const listening of this.#places.values()) {
      this.#release(listening);
      this.#tell(listening, undefined);
    }
    this.#places.clear();
  }

  /** A port is left to a program of this host until it has shown that it does not want it on every address. */
  #settle(listening: Listening): void {
    const { place } = listening;
    const own = this.#options.runsHere(place.service);
    const use = this.#options.portUse(place.port, place.protocol);
    if (use === 'wildcard' || use === 'awaited') {
      this.#release(listening);
      const awaited = `a service that runs here has the same port, and its program does not listen yet`;
      // Of a service's own silence its report already tells.
      if (use === 'wildcard') this.#tell(listening, own ? sharedProblem(place) : bindProblem(place, TAKEN));
      else this.#tell(listening, own ? undefined : awaitedProblem(place, awaited));
      return;
    }
    if (listening.state === 'idle') this.#bind(listening);
  }

  #bind(listening: Listening): void {
    const attempt = {};
    listening.state = 'binding';
    listening.attempt = attempt;
    this.#binding++;
    this.#options.bind(listening.place).then(
      (bound) => {
        if (listening.attempt !== attempt) bound.close();
        else {
          listening.state = 'bound';
          listening.bound = bound;
          listening.failures = 0;
          this.#tell(listening, undefined);
        }
        this.#bindDone();
      },
      (cause: unknown) => {
        if (listening.attempt === attempt) this.#failed(listening, cause);
        this.#bindDone();
      },
    );
  }

  #failed(listening: Listening, cause: unknown): void {
    listening.state = 'failed';
    this.#tell(listening, bindProblem(listening.place, cause));
    const wait = Math.min((this.#options.retryMs ?? 1_000) * 2 ** listening.failures, LONGEST_RETRY_MS);
    listening.failures++;
    listening.retry = setTimeout(() => {
      listening.retry = undefined;
      listening.state = 'idle';
      this.#settle(listening);
    }, wait);
    listening.retry.unref();
  }

  #bindDone(): void {
    this.#binding--;
    if (this.#binding > 0) return;
    for (const resolve of this.#settled.splice(0)) resolve();
  }

  #release(listening: Listening): void {
    clearTimeout(listening.retry);
    listening.retry = undefined;
    listening.state = 'idle';
    listening.attempt = undefined;
    listening.bound?.close();
    listening.bound = undefined;
  }

  /** A place has one problem at a time. */
  #tell(listening: Listening, problem: PlaceProblem | undefined): void {
    const before = listening.problem;
    listening.problem = problem;
    const { problems } = this.#options;
    if (before !== undefined && before.code !== problem?.code) problems.clear(before.code, placeName(listening.place));
    if (problem !== undefined) problems.raise(problem);
  }
}

function newListening(place: Place): Listening {
  return {
    place,
    state: 'idle',
    attempt: undefined,
    bound: undefined,
    retry: undefined,
    failures: 0,
    problem: undefined,
  };
}

/** What a bind would answer while another program has the port on every address. */
const TAKEN = Object.assign(new Error('address already in use'), { code: 'EADDRINUSE' });
