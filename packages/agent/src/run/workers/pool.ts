/** The other threads of an agent with more than one: led by the main thread, which is one of them itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, type NetmapDelta, type OpenFlows, type OpenFlowsQuestion } from '@weft/proto';
import type { FlowRecorder } from '../../flows/recorder.ts';
import type { FlowTraffic } from '../../flows/traffic.ts';
import { AgentError } from '../../member/errors.ts';
import type { NetmapStore } from '../../netmap/store.ts';
import type { ThreadMeasures } from '../../observe/measures.ts';
import type { ProblemSources } from '../../observe/problems.ts';
import type { ThreadPulse } from '../../observe/telemetry.ts';
import type { ListenerFollowers } from '../../outbound/bind-shared.ts';
import { type ListenerSpec, listenerKey } from '../../outbound/listener-spec.ts';
import { portable } from './merge-updates.ts';
import type { PacketWays, Update, WorkerCommon, WorkerNumbers } from './messages.ts';
import { WorkerHandle, type WorkerNews } from './worker-handle.ts';

export interface WorkerPoolOptions {
  readonly common: WorkerCommon;
  /** Of all threads, by thread; the first is the main thread's. */
  readonly packetWays: readonly PacketWays[];
  readonly store: NetmapStore;
  readonly recorder: FlowRecorder;
  readonly traffic: FlowTraffic;
  readonly problems: ProblemSources;
  /** What a worker runs, where it is not the usual. */
  readonly entry?: URL;
}

const COUNT_MS = 250;

export class WorkerPool implements ListenerFollowers {
  readonly #workers: readonly WorkerHandle[];
  /** Rejects with AgentError when a worker ends unasked: an agent never goes on by halves. */
  readonly failed: Promise<never>;
  /** Settles when listeners closed before are let go of. */
  #released: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  /** Starts them; they follow the netmap from here on. */
  constructor(options: WorkerPoolOptions) {
    const { common, packetWays, store } = options;
    const { timeline, index, revision } = store.current;
    const netmap = { position: { timeline, index, revision }, items: portable(store.items.values()) };
    this.#workers = packetWays.slice(1).map((packets, at) => {
      const thread = at + 1;
      // With bytes of its own: see `portable`.
      const tunnelSecret = Uint8Array.from(common.tunnelSecret);
      const start = { ...common, tunnelSecret, thread, threads: packetWays.length, netmap, packets };
      return new WorkerHandle(start, (news) => heard(thread, news, options), options.entry);
    });
    const all = this.#workers.map(({ failed }, at) => failed.catch((cause: unknown) => workerFailed(at + 1, cause)));
    this.failed = Promise.race(all);
    this.failed.catch(() => {});
    store.follow((change) => this.#tell({ netmap: plain(change) }));
  }

  get numbers(): readonly (WorkerNumbers | undefined)[] {
    return this.#workers.map(({ told }) => told.numbers);
  }

  /** Resolves when the numbers are those of now. */
  async count(): Promise<void> {
    await this.#ask('count');
  }

  /** What moved; the flows of it are in the traffic then. A thread that is late tells with the next. */
  async pulses(): Promise<readonly ThreadPulse[]> {
    await this.#ask('pulse');
    return this.#workers.flatMap(({ told }) => told.pulse ?? []);
  }

  /**
   * A thread that is late has its measures of before. One that has none yet is waited for: counters that began without it
   * would jump when it comes, as if all of that had happened at once.
   */
  async measures(): Promise<readonly ThreadMeasures[]> {
    await this.#ask('measure');
    const silent = this.#workers.filter(({ told }) => told.measures === undefined);
    await Promise.race([Promise.all(silent.map((worker) => worker.ask('measure'))), this.failed]);
    return this.#workers.flatMap(({ told }) => told.measures ?? []);
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
    for (const worker of this.#workers) worker.leave(leaving);
  }

  /** The targets that answer now. */
  answering(answering: ReadonlySet<string>): void {
    this.#tell({ answering }).catch(() => {});
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

  /** Cuts all their flows, takes their records and ends them. Bounded in time. */
  stop(reason: string): Promise<void> {
    this.#stopped ??= Promise.all(this.#workers.map((worker) => worker.stop(reason))).then(() => {});
    return this.#stopped;
  }

  /** Resolves when all have answered; or after a moment, for whoever asks wants an answer in any case. */
  async #ask(type: 'count' | 'pulse' | 'measure'): Promise<void> {
    const answers = Promise.all(this.#workers.map((worker) => worker.ask(type)));
    await Promise.race([answers, sleep(COUNT_MS, undefined, { ref: false })]);
  }

  async #tell(update: Update): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.update(update)));
  }
}

type Hearers = Pick<WorkerPoolOptions, 'recorder' | 'traffic' | 'problems'>;

function heard(thread: number, news: WorkerNews, { recorder, traffic, problems }: Hearers): void {
  if (news.type === 'flows') recorder.adopt(news.batch);
  else if (news.type === 'pulse') traffic.adopt(thread, news.pairs);
  else problems.replace(thread, news.problems);
}

function workerFailed(thread: number, cause: unknown): never {
  throw new AgentError(
    'worker-failed',
    `worker ${thread} of this agent ended: ${messageOf(cause)}; the agent stops, for it could not enforce what control says`,
    { cause },
  );
}

function plain(change: NetmapDelta): NetmapDelta {
  return { ...change, upserts: portable(change.upserts) };
}
