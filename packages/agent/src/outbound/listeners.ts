/**
 * The set of listeners, kept as the netmap wants it: new ones bound, those gone closed, failures told
 * listener by listener and tried again, while the rest works.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { entryOf, listenerName } from '@weft/proto';
import type { PortUse } from '../inbound/target-watch.ts';
import type { PortHolder, PortPlace } from '../owner/port-holders.ts';
import type { Problems } from '../words/problems.ts';
import { awaitedProblem, bindProblem, type ListenerProblem, sharedProblem } from './bind-problems.ts';
import type { ListenerSpec } from './listener-spec.ts';
import { OpenedProblems } from './opened-problems.ts';

/** A bound listener. Closing it lets live TCP connections be; the registry cuts those that may not go on. */
export interface BoundListener {
  close(): void;
}

export interface ListenersOptions {
  readonly bind: (spec: ListenerSpec) => Promise<BoundListener>;
  readonly portUse: (port: number, protocol: ListenerSpec['protocol']) => PortUse;
  /** Whether this host runs the service itself. */
  readonly runsHere: (service: string) => boolean;
  readonly problems: Problems;
  /** Who has these places; undefined where nobody takes what comes there, and none where nobody could be asked. Never rejects. */
  readonly holders?: (places: readonly PortPlace[]) => Promise<readonly (PortHolder | undefined)[]>;
  /** Wait before a failed bind is tried again; doubled each time, to 30 s. */
  readonly retryMs?: number;
}

const LONGEST_RETRY_MS = 30_000;
/** Milliseconds of binding at a time: a mesh may ask for thousands, and live flows stand still meanwhile. */
const TURN_MS = 5;
/** Places of which it is looked up at once who has them. */
const MOST_ASKED = 512;

class Listening {
  spec: ListenerSpec;
  state: 'idle' | 'binding' | 'bound' | 'failed' = 'idle';
  /** The bind under way. One that was given up finds another here, or none, and closes what it got. */
  attempt: object | undefined;
  bound: BoundListener | undefined;
  retry: NodeJS.Timeout | undefined;
  failures = 0;
  problem: ListenerProblem | undefined;
  /** Who was seen last to have its port. */
  holder: PortHolder | undefined;

  constructor(spec: ListenerSpec) {
    this.spec = spec;
  }
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #listening = new Map<string, Listening>();
  /** From the first that fails. */
  #opened: OpenedProblems | undefined;
  #closed: boolean = false;
  /** In the order to bind. */
  readonly #waiting: (() => Promise<void>)[] = [];
  #binding: boolean = false;
  #settled: (() => void)[] = [];
  /** Of which it is to be looked up who has the port. */
  readonly #taken = new Set<Listening>();
  #looking: boolean = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** How many listeners are bound. */
  get bound(): number {
    return [...this.#listening.values()].filter(({ state }) => state === 'bound').length;
  }

  /** Makes the wanted listeners, by key, the ones that are bound. */
  reconcile(wanted: ReadonlyMap<string, ListenerSpec>): void {
    if (this.#closed) return;
    for (const [key, listening] of this.#listening) {
      if (wanted.has(key)) continue;
      this.#listening.delete(key);
      this.#release(listening);
      this.#tell(listening, undefined);
    }
    for (const [key, spec] of inTurns(wanted)) {
      const listening = entryOf(this.#listening, key, () => new Listening(spec));
      if (listening.spec.opened !== spec.opened) this.#mean(listening, spec);
      this.#settle(listening);
    }
  }

  /** Resolves when no bind is under way or waits: at once, most of the time. */
  settled(): Promise<void> {
    return !this.#binding ? Promise.resolve() : new Promise((resolve) => this.#settled.push(resolve));
  }

  close(): void {
    this.#closed = true;
    for (const listening of this.#listening.values()) {
      this.#release(listening);
      this.#tell(listening, undefined);
    }
    this.#listening.clear();
  }

  /** A port is left to a program of this host that has it on every address, or had when it was last seen. */
  #settle(listening: Listening): void {
    const { spec } = listening;
    const own = this.#options.runsHere(spec.service);
    const use = this.#options.portUse(spec.port, spec.protocol);
    if (use === 'wildcard' || use === 'awaited') {
      this.#release(listening);
      if (use === 'awaited') this.#tell(listening, awaitedProblem(spec));
      else if (own) this.#tell(listening, sharedProblem(spec));
      else this.#fail(listening, TAKEN);
      return;
    }
    if (listening.state === 'idle') this.#bind(listening);
  }

  #bind(listening: Listening): void {
    const attempt = {};
    listening.state = 'binding';
    listening.attempt = attempt;
    this.#waiting.push(async () => {
      if (listening.attempt !== attempt) return;
      try {
        const bound = await this.#options.bind(listening.spec);
        if (listening.attempt !== attempt) {
          bound.close();
          return;
        }
        listening.state = 'bound';
        listening.bound = bound;
        listening.failures = 0;
        listening.holder = undefined;
        this.#tell(listening, undefined);
      } catch (cause) {
        if (listening.attempt === attempt) this.#failed(listening, cause);
      }
    });
    if (!this.#binding) void this.#bindEach();
  }

  /** One after the other: what a bind costs is spent after the call, so that only its end shows it. */
  async #bindEach(): Promise<void> {
    this.#binding = true;
    let begunMs = performance.now();
    for (const bind of drained(this.#waiting)) {
      await bind();
      if (performance.now() - begunMs < TURN_MS) continue;
      await nextTurn();
      begunMs = performance.now();
    }
    this.#binding = false;
    for (const resolve of this.#settled.splice(0)) resolve();
  }

  #failed(listening: Listening, cause: unknown): void {
    listening.state = 'failed';
    this.#fail(listening, cause);
    const wait = Math.min((this.#options.retryMs ?? 1_000) * 2 ** listening.failures, LONGEST_RETRY_MS);
    listening.failures++;
    listening.retry = setTimeout(() => {
      listening.retry = undefined;
      listening.state = 'idle';
      this.#settle(listening);
    }, wait);
    listening.retry.unref();
  }

  #fail(listening: Listening, cause: unknown): void {
    const problem = bindProblem(listening.spec, cause, listening.holder);
    this.#tell(listening, problem);
    if (problem.code !== 'port-taken' || this.#options.holders === undefined) return;
    this.#taken.add(listening);
    if (!this.#looking) void this.#lookWho(this.#options.holders);
  }

  /** Told behind the problem itself: it takes a while to find out. */
  async #lookWho(holders: NonNullable<ListenersOptions['holders']>): Promise<void> {
    this.#looking = true;
    while (this.#taken.size > 0) {
      // Those of one turn are looked up together.
      await nextTurn();
      const asked = [...this.#taken].slice(0, MOST_ASKED);
      for (const listening of asked) this.#taken.delete(listening);
      const found = await holders(
        asked.map(({ spec: { address, port, protocol } }) => ({ host: address, port, protocol })),
      );
      for (const [at, listening] of asked.entries()) {
        if (listening.problem?.code !== 'port-taken') continue;
        if (found.length > 0) listening.holder = found[at];
        this.#tell(listening, bindProblem(listening.spec, TAKEN, listening.holder));
      }
    }
    this.#looking = false;
  }

  #release(listening: Listening): void {
    clearTimeout(listening.retry);
    listening.retry = undefined;
    listening.state = 'idle';
    listening.attempt = undefined;
    listening.bound?.close();
    listening.bound = undefined;
  }

  /** What a program had opened is declared now, or the other way about: the socket stays, and a problem is told as the new one's. */
  #mean(listening: Listening, spec: ListenerSpec): void {
    const { problem } = listening;
    this.#tell(listening, undefined);
    listening.spec = spec;
    this.#tell(listening, problem);
  }

  /** A listener has one problem at a time. */
  #tell(listening: Listening, problem: ListenerProblem | undefined): void {
    const before = listening.problem;
    listening.problem = problem;
    const { problems } = this.#options;
    if (listening.spec.opened === true) {
      if (before === undefined && problem === undefined) return;
      this.#opened ??= new OpenedProblems(problems);
      this.#opened.tell(listening.spec, problem);
      return;
    }
    if (before !== undefined && before.code !== problem?.code)
      problems.clear(before.code, listenerName(listening.spec));
    if (problem !== undefined) problems.raise(problem);
  }
}

/** The first places of every service before the second of any: a service of many ports does not keep the others waiting. */
function inTurns(wanted: ReadonlyMap<string, ListenerSpec>): Iterable<[string, ListenerSpec]> {
  const turns: [string, ListenerSpec][][] = [];
  for (const places of Map.groupBy(wanted, ([, { service }]) => service).values()) {
    for (const [turn, place] of places.entries()) {
      turns[turn] ??= [];
      turns[turn].push(place);
    }
  }
  return turns.flat();
}

/** Those of a queue as they come, until it is empty. */
function* drained<Entry>(queue: Entry[]): Generator<Entry> {
  while (queue.length > 0) yield* queue.splice(0);
}

/** What a bind would answer while another program has the port on every address. */
const TAKEN = Object.assign(new Error('address already in use'), { code: 'EADDRINUSE' });
