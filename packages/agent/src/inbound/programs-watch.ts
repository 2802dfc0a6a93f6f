/** Where services' programs listen beside their targets, workers' too: looked up when anything else listens, and now and then. */
import { Worker } from 'node:worker_threads';
import { eachPort, messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { AgentService } from '../config/agent-file.ts';
import { runsHere } from '../flows/judge.ts';
import type { FoundListening } from '../owner/listening.ts';
import { LISTENING_THREAD, type ListeningThreadData } from '../owner/listening-entry.ts';
import type { NetmapSource } from '../words/netmap.ts';
import type { OwnerRule } from '../words/owner.ts';
import { type Problems, passing } from '../words/problems.ts';
import { PROGRAM, wasReplaced } from '../words/program.ts';
import { systemRange, targetsOf } from './addresses.ts';
import type { ExposedTarget } from './exposure.ts';
import type { ListenerTable } from './listener-table.ts';

const TIMES = { look: 1_000, least: 5_000 };
/** Though nothing else listens, others may hold the sockets by now. */
const AGAIN_MS = 60_000;
/** A look that takes longer is ended. */
const STUCK_MS = 30_000;

export interface ProgramsWatchOptions {
  readonly netmap: NetmapSource;
  /** By name, from the agent file. */
  readonly services: ReadonlyMap<string, AgentService>;
  /** What listens now; undefined where the kernel does not tell. */
  readonly table: () => ListenerTable | undefined;
  readonly found: (programs: readonly ExposedTarget[]) => void;
  readonly problems: Problems;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Of the thread that looks; this very one when left out. */
  readonly program?: string;
  /** How often who listens is compared with before, and how soon it is looked into again at the soonest, milliseconds. */
  readonly times?: { readonly look: number; readonly least: number };
}

export class ProgramsWatch {
  readonly #options: ProgramsWatchOptions;
  readonly #unseen: () => void;
  readonly #times: typeof TIMES;
  #thread: Worker | undefined;
  /** Whether the thread that would be begun is of another program. */
  #replaced: boolean = false;
  #seen = '';
  #begunMs = Number.NEGATIVE_INFINITY;
  #last: FoundListening = { programs: [], hidden: 0 };

  constructor(options: ProgramsWatchOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#unseen = passing(options.problems, {
      code: 'no-look',
      subject: 'programs',
      message:
        'which programs of services listen where others come could not be looked up, so what is exposed is told as it was last; see to what ' +
        'else is told of this host, such as too few files or too little memory',
    });
  }

  /** Sockets beyond loopback of which this agent may not see whose they are. */
  get hidden(): number {
    return this.#last.hidden;
  }

  start(): void {
    const timer = setInterval(() => this.#look(), this.#times.look).unref();
    this.#look();
    this.#options.signal.addEventListener('abort', () => {
      clearInterval(timer);
      void this.#thread?.terminate();
    });
  }

  #look(): void {
    const { table: tableNow } = this.#options;
    const table = tableNow();
    const rules = this.#rules();
    if (table === undefined) return;
    if (this.#replaced) {
      this.#keep(table, rules);
      return;
    }
    const seen = JSON.stringify([table.markBeyond, rules]);
    const sinceMs = performance.now() - this.#begunMs;
    if (this.#thread !== undefined || sinceMs < this.#times.least || (seen === this.#seen && sinceMs < AGAIN_MS))
      return;
    this.#seen = seen;
    this.#begunMs = performance.now();
    if (table.countBeyond === 0 || rules.length === 0) this.#found({ programs: [], hidden: 0 });
    else this.#begin(rules);
  }

  #begin(rules: readonly OwnerRule[]): void {
    let thread: Worker;
    try {
      const { program = PROGRAM } = this.#options;
      const workerData: ListeningThreadData = { program, rules };
      thread = new Worker(LISTENING_THREAD, { name: 'weft listening', workerData });
    } catch (err) {
      this.#failed(err);
      return;
    }
    this.#thread = thread;
    const stuck = setTimeout(() => void thread.terminate(), STUCK_MS).unref();
    let answered: boolean = false;
    thread.on('message', (found: FoundListening) => {
      answered = true;
      this.#found(found);
    });
    thread.on('error', (err) => {
      answered = true;
      this.#failed(err);
    });
    thread.on('exit', () => {
      clearTimeout(stuck);
      this.#thread = undefined;
      if (!answered && !this.#options.signal.aborted) this.#failed(new Error('it ended without an answer'));
    });
    thread.unref();
  }

  #failed(err: unknown): void {
    if (this.#options.signal.aborted) return;
    if (wasReplaced(err)) {
      // For good: none is begun again.
      this.#replaced = true;
      const message =
        `which programs of services listen where others come cannot be looked up: ${messageOf(err)}; ` +
        'those that were found before are told for as long as they listen';
      this.#options.problems.raise({ code: 'no-look', subject: 'program', message });
    } else {
      this.#seen = '';
      this.#unseen();
    }
    this.#options.log.warn({ event: 'listening-unknown', err }, 'which programs listen could not be looked up');
  }

  /** What ends or is no service's any more is told no longer, and not again, whoever comes to listen there: nobody can see who that is. */
  #keep(table: ListenerTable, rules: readonly OwnerRule[]): void {
    const { programs, hidden } = this.#last;
    const beyond = table.countBeyond;
    const kept = programs.filter((one) => table.holds(one) && rules.some(({ service }) => service === one.service));
    if (kept.length < programs.length || hidden > beyond)
      this.#found({ programs: kept, hidden: Math.min(hidden, beyond) });
  }

  #found(found: FoundListening): void {
    this.#last = found;
    const table = this.#options.table();
    if (table === undefined) return;
    const passing = systemRange();
    const isPassing = (port: number) =>
      passing === undefined || (port >= passing.first && port < passing.first + passing.count);
    this.#options.found(
      found.programs.flatMap(({ service, protocol, address, port, program }): ExposedTarget[] => {
        // Whoever only sends datagrams has such a port as well. What is the agent's own is not listed.
        if ((protocol === 'udp' && isPassing(port)) || !table.holds({ protocol, address, port })) return [];
        const sixOnly = address === '::' && !table.hasWildcard(protocol, port);
        return [{ service, protocol, port, listens: [address], sixOnly, program }];
      }),
    );
  }

  /** All that run here: what is exposed is told of each, also where none need be told from another to speak. */
  #rules(): readonly OwnerRule[] {
    const { netmap, services } = this.#options;
    return [...services.values()].flatMap((here): OwnerRule[] => {
      const known = runsHere(netmap.current, services, here.name)?.service;
      if (known === undefined) return [];
      const places = known.kind === 'worker' ? [] : [...eachPort(known.ports)];
      const targets = places.flatMap(({ port, protocol }) =>
        targetsOf(here, port, protocol).map((target) => ({ ...target, protocol })),
      );
      return [{ service: here.name, targets, ...(here.match === undefined ? {} : { match: here.match }) }];
    });
  }
}
