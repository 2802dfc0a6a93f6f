/**
 * A second thread while bulk moves on the first: what is accepted meanwhile is passed to it, where it has less bulk itself, so that
 * new small flows wait for no bulk, in no tunnel and in no loop. A flow stays where it began.
 */
import { messageOf } from '@weft/proto';
import type { Logger } from 'pino';
import type { Elsewhere, Gate } from '../../bytes/inside/handle-connections.ts';
import { shownDescriptor } from '../../bytes/inside/known.ts';
import { type SocketSender, sendSockets } from '../../bytes/inside/pass-sockets.ts';
import type { OpenFiles } from '../../bytes/open-files.ts';
import type { BulkWatch } from '../../flows/bulk.ts';
import type { SecondThreadState } from '../../observe/agent-status.ts';
import type { BoundTunnels } from '../../tunnel/create.ts';
import { wasReplaced } from '../../words/program.ts';
import type { Beside } from '../data-path.ts';
import type { SecondThreadTimes } from '../options.ts';
import { SecondSteering } from './packet-steering.ts';
import { TO_TUNNELS, textOf } from './passed-specs.ts';
import type { WorkerPool } from './pool.ts';
import { TunnelTurns } from './tunnel-turns.ts';
import type { WorkerHandle } from './worker-handle.ts';

const TIMES: SecondThreadTimes = {
  ...{ start: 15_000, rest: 60_000, settle: 6_000, leave: 30_000, again: 60_000 },
  ...{ look: 1_000, back: 30_000, calm: 60_000 },
};
/** It is missed for less than a worker that the agent cannot do without, so that what is taken away waits for a stuck one no longer. */
const STUCK_LOOKS = 5;
const LOOK_MS = 1_000;
const CALLED = 'a program in a sandbox is called, and the first thread alone has its sockets';

export interface SecondThreadOptions {
  /** Where threads are joined. */
  readonly directory: string;
  /** Whether what programs in sandboxes serve is called: the first thread alone has their sockets. */
  readonly sandboxes: () => boolean;
  readonly log: Logger;
  /** Ends it: no other is begun. */
  readonly signal: AbortSignal;
  readonly times?: Partial<SecondThreadTimes> | undefined;
}

/** The first thread, once it is there. */
interface First {
  readonly pool: Pick<WorkerPool, 'add' | 'remove'>;
  readonly tunnels: Pick<BoundTunnels, 'leave'>;
  readonly files: Pick<OpenFiles, 'spares' | 'spare'>;
  /** Its flows that are bulk. */
  readonly bulk: Pick<BulkWatch, 'flows'> | undefined;
}

export class SecondThread {
  readonly #options: SecondThreadOptions;
  readonly #times: SecondThreadTimes;
  /** Open while it takes connections. */
  readonly #gate: Gate = { open: false };
  readonly #steering = new SecondSteering();
  #first: First | undefined;
  #state: SecondThreadState = 'off';
  #sender: SocketSender | undefined;
  /** Once it takes connections. */
  #running: WorkerHandle | undefined;
  /** Listeners that it knows: none was made later than what it had enforced when it was passed a connection of theirs. */
  readonly #known = new Set<string>();
  /** Why the last could not begin, or ended. */
  #cause = '';
  /** No other begins before, nor does this one take connections again that it was told to leave. */
  #againAt = Number.NEGATIVE_INFINITY;
  /** When it had something to carry last, or was told to leave. */
  #usedAt = 0;
  readonly #turns: TunnelTurns;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SecondThreadOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#turns = new TunnelTurns({
      times: this.#times,
      leaveFirst: () => this.#first?.tunnels.leave(false),
      leaveSecond: () => this.#running?.leaveTunnels(false),
    });
    options.signal.addEventListener('abort', () => this.#end(), { once: true });
  }

  /** The first thread's part. */
  get beside(): Beside {
    const take = (text: string): Elsewhere => ({
      gate: this.#gate,
      take: (handle, back) => this.#pass(handle, text, back),
    });
    const bulkChanged = () => this.look();
    return {
      listens: true,
      steering: this.#steering,
      calls: (spec) => {
        const text = textOf(spec);
        this.#known.delete(text);
        return take(text);
      },
      tunnels: take(TO_TUNNELS),
      bulkChanged,
    };
  }

  /** Before that no other is begun. */
  follow(first: First): void {
    this.#first = first;
  }

  get status(): { readonly state: SecondThreadState; readonly cause: string } {
    const shut = this.#bulk > 0 && this.#options.sandboxes();
    return { state: this.#state, cause: shut ? CALLED : this.#cause };
  }

  /** To be called when another number of flows of the first thread is bulk, or a program in a sandbox came or went. */
  look(): void {
    const { signal, sandboxes } = this.#options;
    const first = this.#first;
    if (signal.aborted || first === undefined) return;
    if (this.#state === 'off') {
      // It was of the bulk that is over.
      if (this.#bulk === 0 && this.#againAt < Number.POSITIVE_INFINITY) this.#cause = '';
      const wanted = this.#bulk > 0 && !sandboxes() && performance.now() >= this.#againAt;
      if (!wanted) return;
      if (first.files.spare) void this.#begin(first);
      else this.#again();
    } else if (this.#state === 'on') this.#lookAtRunning();
    else if (this.#state === 'leaving') this.#lookAtLeaving();
  }

  get #bulk(): number {
    return this.#first?.bulk?.flows ?? 0;
  }

  #pass(handle: object, text: string, back: () => void): boolean {
    const running = this.#running;
    if (!this.#gate.open || running === undefined) return false;
    if (this.#bulk <= (running.told.numbers?.bulk ?? 0)) return false;
    if (running.late || !this.#knows(running, text)) return false;
    // One too many is refused here.
    if (this.#first?.files.spares(shownDescriptor(handle)) !== true) return false;
    if (this.#sender?.pass(handle, text, back) !== true) return false;
    this.#usedAt = performance.now();
    return true;
  }

  /** A connection may be quicker than what the listener, or the peer, is of. */
  #knows({ behind }: WorkerHandle, text: string): boolean {
    if (text !== TO_TUNNELS && this.#known.has(text)) return true;
    if (!behind) this.#known.add(text);
    return !behind;
  }

  async #begin({ pool }: First): Promise<void> {
    const { directory, log, signal } = this.#options;
    this.#state = 'starting';
    try {
      const sender = await sendSockets(directory, this.#times.start);
      this.#sender = sender;
      signal.throwIfAborted();
      const watch = { lookMs: this.#times.look, stuckLooks: STUCK_LOOKS };
      const handle = await pool.add(sender.way, sender.joined, this.#steering.begin(), watch);
      signal.throwIfAborted();
      this.#running = handle;
      handle.failed.catch((cause: unknown) => void this.#lost(handle, cause));
      this.#open();
      this.#cause = '';
      this.#usedAt = performance.now();
      clearInterval(this.#timer);
      this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
      log.info({ event: 'second-thread-on' }, 'bulk moves: new connections are taken by a second thread');
      this.look();
    } catch (error) {
      this.#end();
      this.#state = 'off';
      if (signal.aborted) return;
      this.#cause = messageOf(error);
      if (wasReplaced(error)) this.#againAt = Number.POSITIVE_INFINITY;
      else this.#again();
      log.warn(
        { event: 'second-thread-failed', err: error },
        'a second thread could not begin: small flows wait behind bulk',
      );
    }
  }

  /** It ended unasked, answers no more, or could not enforce a change. What it carried ends with it; the first thread goes on. */
  async #lost(handle: WorkerHandle, cause: unknown): Promise<void> {
    if (handle !== this.#running) return;
    this.#options.log.error(
      { event: 'second-thread-lost', err: cause, untaken: this.#sender?.outstanding ?? 0 },
      'the second thread has ended, and what it carried with it: new connections are taken by the first',
    );
    this.#end();
    this.#state = 'leaving';
    await this.#first?.pool.remove(handle);
    this.#state = 'off';
    this.#cause = `it ended: ${messageOf(cause)}`;
    if (!this.#options.signal.aborted) this.#again();
  }

  #again(): void {
    this.#againAt = performance.now() + this.#times.again;
    this.#lookThen();
  }

  /** When another may begin: nobody tells of that. */
  #lookThen(): void {
    clearInterval(this.#timer);
    const look = () => {
      // Timers may come a little early.
      if (performance.now() < this.#againAt) this.#lookThen();
      else this.look();
    };
    this.#timer = setTimeout(look, this.#againAt - performance.now() + 1).unref();
  }

  /** From here on it takes what is new. */
  #open(): void {
    this.#state = 'on';
    this.#gate.open = true;
    // Peers with a tunnel dial anew, which is passed: those without bulk of their own would never.
    this.#turns.begin(performance.now());
  }

  #lookAtRunning(): void {
    const { sandboxes } = this.#options;
    const now = performance.now();
    const beside = this.#bulk > 0;
    this.#turns.look(beside, now);
    if (this.#flows > 0 || beside) this.#usedAt = now;
    if (!sandboxes() && now - this.#usedAt < this.#times.rest) return;
    // Programs in sandboxes may come and go each second, and peers are not to dial anew with each.
    if (sandboxes()) this.#againAt = now + this.#times.calm;
    this.#state = 'leaving';
    this.#gate.open = false;
    this.#usedAt = now;
    this.#running?.leaveTunnels(true);
  }

  #lookAtLeaving(): void {
    const now = performance.now();
    if (this.#running !== undefined && this.#bulk > 0 && !this.#options.sandboxes() && now >= this.#againAt) {
      this.#running.leaveTunnels(false);
      this.#usedAt = now;
      this.#open();
      return;
    }
    const waited = now - this.#usedAt;
    if (this.#flows > 0) {
      this.#usedAt = now;
      return;
    }
    const tunnels = this.#running?.told.numbers?.tunnel.open ?? 0;
    if (waited >= this.#times.settle && (tunnels === 0 || waited >= this.#times.leave)) void this.#finish();
  }

  /** Open there, or on their way. */
  get #flows(): number {
    return (this.#running?.told.numbers?.flows ?? 0) + (this.#sender?.outstanding ?? 0);
  }

  async #finish(): Promise<void> {
    const { log } = this.#options;
    const running = this.#running;
    this.#end();
    if (running === undefined) return;
    this.#state = 'leaving';
    await this.#first?.pool.remove(running);
    this.#state = 'off';
    log.info({ event: 'second-thread-off' }, 'no bulk moves: the second thread has ended');
    if (performance.now() < this.#againAt) this.#lookThen();
    this.look();
  }

  /** What is on its way and was not taken by the system is taken by the first thread. */
  #end(): void {
    clearInterval(this.#timer);
    this.#gate.open = false;
    this.#sender?.close();
    this.#sender = undefined;
    this.#running = undefined;
    this.#known.clear();
    this.#steering.end();
    if (this.#state === 'on') this.#state = 'leaving';
  }
}
