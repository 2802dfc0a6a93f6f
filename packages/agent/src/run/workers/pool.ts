/** The other threads of an agent with more than one: led by the main thread, which is one of them itself. */
import { defined, messageOf, type NetmapDelta, type OpenFlows, type OpenFlowsQuestion } from '@weft/proto';
import type { PassWay } from '../../bytes/inside/pass-sockets.ts';
import type { FlowRecorder } from '../../flows/recorder.ts';
import type { FlowTraffic } from '../../flows/traffic.ts';
import { AgentError } from '../../member/errors.ts';
import type { NetmapStore } from '../../netmap/store.ts';
import type { ThreadMeasures } from '../../observe/measures.ts';
import type { ProblemSources } from '../../observe/problems.ts';
import type { ThreadPulse } from '../../observe/telemetry.ts';
import type { ListenerFollowers } from '../../outbound/bind-shared.ts';
import { type ListenerSpec, listenerKey } from '../../outbound/listener-spec.ts';
import type { CallerSocket, Owner } from '../../words/owner.ts';
import { portable } from './merge-updates.ts';
import type { PacketWays, Update, WorkerCommon, WorkerNumbers, WorkerStart } from './messages.ts';
import { PastThreads } from './past.ts';
import { type StuckWatch, THREAD_PROGRAM, WorkerHandle, type WorkerNews } from './worker-handle.ts';

export interface WorkerPoolOptions {
  readonly common: WorkerCommon;
  /** Of all threads, by thread; the first is the main thread's. Undefined where none is there from the start. */
  readonly packetWays: readonly PacketWays[] | undefined;
  readonly store: NetmapStore;
  readonly recorder: FlowRecorder;
  readonly traffic: FlowTraffic;
  readonly problems: ProblemSources;
  /** Who makes a call, for a thread that does not look itself. */
  readonly find?: (caller: CallerSocket) => Owner | Promise<Owner>;
  /** What a worker runs, where it is not the usual. */
  readonly entry?: URL;
}

const COUNT_MS = 250;
/** Of the thread that is begun when it is needed. */
const SECOND = 1;

export class WorkerPool implements ListenerFollowers {
  readonly #options: WorkerPoolOptions;
  /** Whom an acknowledgement waits for. */
  #workers: readonly WorkerHandle[] = [];
  /** Begun later and not ready: it carries nothing, and is told of what comes meanwhile without being waited for. */
  #late: WorkerHandle | undefined;
  /** One that is being removed: its numbers count until they are among those of the past. */
  #removed: WorkerHandle | undefined;
  #targets: Pick<Update, 'answering' | 'firstUsers' | 'others'> | undefined;
  #leaving: boolean = false;
  readonly past = new PastThreads();
  readonly #failed = Promise.withResolvers<never>();
  /** Rejects with AgentError when a worker that listens ends unasked: an agent never goes on by halves. */
  readonly failed = this.#failed.promise;
  /** Settles when listeners closed before are let go of. */
  #released: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  /** Starts them; they follow the netmap from here on. */
  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    const { packetWays = [], store } = options;
    this.failed.catch(() => {});
    this.#workers = packetWays.slice(1).map((packets, at) => {
      const handle = this.#begin({ thread: at + 1, threads: packetWays.length, packets });
      this.#needs(at + 1, handle);
      return handle;
    });
    store.follow((change) => this.#changed(change));
  }

  /**
   * Begins the second thread, which comes to its connections by `passed`, and to its tunnels' datagrams by `packets`, and is ended when `watch` finds it stuck. Resolves when it
   * enforces what is in force, and whoever waits for an acknowledgement waits for it. Rejects where it could not begin, or `joined`
   * rejects: nothing is left of it then. One that ends unasked later is for whoever asked for it to remove.
   */
  async add(passed: PassWay, joined: Promise<void>, packets?: PacketWays, watch?: StuckWatch): Promise<WorkerHandle> {
    if (this.#stopped !== undefined || this.#late !== undefined) throw new Error('the agent stops, or another begins');
    const handle = this.#begin({ thread: SECOND, threads: SECOND + 1, packets, passed }, watch);
    this.#late = handle;
    try {
      await this.#join(handle, joined);
    } catch (error) {
      this.#workers = this.#workers.filter((each) => each !== handle);
      await handle.stop('it could not begin');
      this.#options.problems.replace(SECOND, []);
      throw error;
    } finally {
      this.#late = undefined;
    }
    return handle;
  }

  async #join(handle: WorkerHandle, joined: Promise<void>): Promise<void> {
    if (this.#leaving) handle.leave(true);
    if (this.#targets !== undefined) handle.update(this.#targets).catch(() => {});
    await Promise.race([Promise.all([handle.ready, joined]), handle.failed]);
    // It answers from here on, so that whoever waits for it waits no longer than for any other.
    this.#late = undefined;
    this.#workers = [...this.#workers, handle];
    // Behind all that it was told before, and rejected where it could not enforce one of these: that has ended it.
    await handle.update({});
  }

  /** Ends one that was begun later, and carries nothing any more, or has ended unasked; what it counted stays counted. */
  async remove(handle: WorkerHandle): Promise<void> {
    const { common, problems } = this.#options;
    // Nobody who asks from here on finds less than was told before.
    const asked = [handle.ask('count'), handle.ask('pulse'), ...(common.metrics ? [handle.ask('measure')] : [])];
    await Promise.all(asked);
    this.#removed = handle;
    this.#workers = this.#workers.filter((each) => each !== handle);
    await handle.stop('it carries nothing');
    const { numbers, pulse, measures } = handle.told;
    this.past.add(numbers?.tunnel, pulse?.peers ?? [], measures);
    this.#removed = undefined;
    // One that ended unasked has told of none of its flows that they are over.
    this.#options.traffic.adopt(SECOND, []);
    problems.replace(SECOND, []);
  }

  #begin(of: Pick<WorkerStart, 'thread' | 'threads' | 'packets' | 'passed'>, watch?: StuckWatch): WorkerHandle {
    const { common, store, entry } = this.#options;
    const { timeline, index, revision } = store.current;
    const netmap = { position: { timeline, index, revision }, items: portable(store.items.values()) };
    // With bytes of its own: see `portable`.
    const tunnelSecret = Uint8Array.from(common.tunnelSecret);
    const handle = new WorkerHandle(
      { ...common, ...of, tunnelSecret, netmap, program: THREAD_PROGRAM.id },
      (news) => {
        if (news.type !== 'find') heard(of.thread, news, this.#options);
        else {
          const found = this.#options.find?.(news.caller);
          if (found instanceof Promise) void found.then((owner) => handle.found(news.serial, owner));
          else if (found !== undefined) handle.found(news.serial, found);
        }
      },
      defined({ entry, watch }),
    );
    return handle;
  }

  #needs(thread: number, { failed }: WorkerHandle): void {
    failed.catch((cause: unknown) => this.#failed.reject(workerFailed(thread, cause)));
  }

  get #counted(): readonly WorkerHandle[] {
    return this.#removed === undefined ? this.#workers : [...this.#workers, this.#removed];
  }

  get numbers(): readonly (WorkerNumbers | undefined)[] {
    return this.#counted.map(({ told }) => told.numbers);
  }

  /** Resolves when the numbers are those of now. */
  async count(): Promise<void> {
    await this.#ask('count');
  }

  /** What moved; the flows of it are in the traffic then. A thread that is late tells with the next. */
  async pulses(): Promise<readonly ThreadPulse[]> {
    await this.#ask('pulse');
    return [...this.#counted.flatMap(({ told }) => told.pulse ?? []), ...this.past.pulses];
  }

  /**
   * A thread that is late has its measures of before. One that has none yet is waited for: counters that began without it
   * would jump when it comes, as if all of that had happened at once.
   */
  async measures(): Promise<readonly ThreadMeasures[]> {
    await this.#ask('measure');
    const silent = this.#workers.filter(({ told }) => told.measures === undefined);
    await Promise.race([Promise.all(silent.map((worker) => worker.ask('measure'))), this.failed]);
    return this.past.with(this.#counted.flatMap(({ told }) => told.measures ?? []));
  }

  /** Of each worker. Resolves when all have told: who asks for all of them has no use for a part. */
  openFlows(asked: OpenFlowsQuestion): Promise<readonly OpenFlows[]> {
    return Promise.all(this.#workers.map((worker) => worker.openFlows(asked)));
  }

  /** Resolves when all take flows. Throws AgentError. */
  async ready(): Promise<void> {
    await Promise.race([Promise.all(this.#workers.map(({ ready }) => ready)), this.failed]);
  }

  /** Resolves when all listen on what that they were told of. */
  async settled(): Promise<void> {
    // Behind what still waits to be sent.
    await this.#tell({}).catch(() => {});
    await Promise.all(this.#workers.map((worker) => worker.bound()));
  }

  /** Of the agent file now. Resolves when it is enforced everywhere. */
  async services(services: WorkerCommon['services']): Promise<void> {
    await this.#tell({ services: new Map(services) });
  }

  leave(leaving: boolean): void {
    this.#leaving = leaving;
    for (const worker of this.#workers) worker.leave(leaving);
    this.#late?.leave(leaving);
  }

  /** Of this host's programs now. */
  targets({ answering, firstUsers, others }: Required<Pick<Update, 'answering' | 'firstUsers' | 'others'>>): void {
    const told = this.#targets;
    this.#targets = { answering, firstUsers, others };
    const news = {
      ...(answering === told?.answering ? {} : { answering }),
      ...(firstUsers === told?.firstUsers ? {} : { firstUsers }),
      ...(others.size === 0 && told?.others?.size === 0 ? {} : { others }),
    };
    if (Object.keys(news).length > 0) this.#tell(news).catch(() => {});
  }

  // --- listeners ---

  async released(): Promise<void> {
    await this.#released;
  }

  opened(spec: ListenerSpec): void {
    this.#tell({ listeners: new Map([[listenerKey(spec), spec]]) }).catch(() => {});
  }

  closed(spec: ListenerSpec): void {
    this.#released = this.#tell({ listeners: new Map([[listenerKey(spec), null]]) }).catch(() => {});
  }

  /** Cuts all their flows, takes their records and ends them. Bounded in time, but where one hangs before it has done so. */
  stop(reason: string): Promise<void> {
    const all = [...this.#counted, ...(this.#late === undefined ? [] : [this.#late])];
    this.#stopped ??= Promise.all(all.map((worker) => worker.end(reason))).then(() => {});
    return this.#stopped;
  }

  /** Resolves when all have answered; or after a moment, for whoever asks wants an answer in any case. */
  async #ask(type: 'count' | 'pulse' | 'measure'): Promise<void> {
    if (this.#workers.length === 0) return;
    const answers = Promise.all(this.#workers.map((worker) => worker.ask(type)));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, COUNT_MS).unref();
    await Promise.race([answers, late]);
    clearTimeout(timer);
  }

  async #changed(change: NetmapDelta): Promise<void> {
    this.past.keep(this.#options.store.current.peers.values());
    // A copy of it is for whoever there is to be told. One that is being removed is told nothing, and waited for.
    if (this.#counted.length > 0 || this.#late !== undefined) await this.#tell({ netmap: plain(change) });
  }

  async #tell(update: Update): Promise<void> {
    this.#late?.update(update).catch(() => {});
    const told = this.#workers.map((worker) => this.#enforced(worker, worker.update(update)));
    await Promise.all([...told, this.#removed?.empty]);
  }

  /** It enforces a change; or has cut all that it carried, where that was to be or the agent can do without it: nothing lives on there that was taken away. */
  async #enforced(worker: WorkerHandle, told: Promise<void>): Promise<void> {
    try {
      await told;
    } catch (error) {
      // One that listens ends the agent by it, but where the agent stops anyway: control hears that it serves no more, and tells of that.
      if (worker.listens && this.#stopped === undefined) throw error;
      await worker.empty;
    }
  }
}

type Hearers = Pick<WorkerPoolOptions, 'recorder' | 'traffic' | 'problems'>;

function heard(
  thread: number,
  news: Exclude<WorkerNews, { readonly type: 'find' }>,
  { recorder, traffic, problems }: Hearers,
): void {
  if (news.type === 'flows') recorder.adopt(news.batch);
  else if (news.type === 'pulse') traffic.adopt(thread, news.pairs);
  else problems.replace(thread, news.problems);
}

function workerFailed(thread: number, cause: unknown): AgentError {
  return new AgentError(
    'worker-failed',
    `worker ${thread} of this agent ended: ${messageOf(cause)}; the agent stops, for it could not enforce what control says`,
    { cause },
  );
}

function plain(change: NetmapDelta): NetmapDelta {
  return { ...change, upserts: portable(change.upserts) };
}
