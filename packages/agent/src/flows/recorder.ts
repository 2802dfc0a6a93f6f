/**
 * Ended flows on their way to control and to `weft status`. Nothing here waits for control: when it is away for long the
 * oldest records go, and their number is told with the next batch.
 */
import { type FlowRecord, WIRE_LIMITS } from '@weft/proto';

/** Takes exactly one record of each flow when it ends. Never blocks: over its bound it counts the loss. */
export interface FlowSink {
  /** `from`: whom the flow comes from where that is none of this host's own programs, an address group or a peer's id. */
  record(flow: FlowRecord, from?: string): void;
}

export interface FlowBatch {
  /** 1 to 1,000, oldest first. */
  readonly records: readonly FlowRecord[];
  /** Records lost since the batch before, because the queue was full. */
  readonly dropped: number;
}

export interface RecorderOptions {
  /** Records held for control. */
  readonly queue?: number;
  /** Records of one batch; the wire allows 1,000. */
  readonly batch?: number;
  /** Ended flows kept for the local status. */
  readonly recent?: number;
  /** Where this host stands, by its agent file. */
  readonly zone?: string | undefined;
  /** Told each time that records are lost. */
  readonly lost?: () => void;
}

export interface RecorderCounters {
  /** Since the start. */
  readonly recorded: number;
  readonly dropped: number;
  /** Of those dropped, how many no batch that is out has told of. */
  readonly untold: number;
  readonly queued: number;
  /** Records of batches that are out: neither taken nor restored. */
  readonly unanswered: number;
}

interface Rename {
  readonly from: string;
  readonly to: string;
  readonly atMs: number;
  /** Of this host: its records are taken by no other name. */
  readonly own: boolean;
  /** The same of those that were told together. */
  readonly told: object;
}

/** Renames that are remembered, the last: flows of before others are told by the names of then. */
const MOST_RENAMES = 100;

/** What is told of a host that was renamed: control takes of it nothing by a name of before. */
export type NamesOfNow = Pick<FlowRecorder, 'wasRenamed' | 'byNamesOfNow'>;

/** Hosts as a flow names them. */
type Named = Pick<FlowRecord, 'source' | 'sourceHost' | 'destinationHost'>;

export class FlowRecorder implements FlowSink {
  /** Where this host stands from now on. */
  zone: string | undefined;
  readonly #queue: Ring<FlowRecord>;
  readonly #recent: Ring<FlowRecord>;
  readonly #batch: number;
  readonly #onLost: (() => void) | undefined;
  #dropped = 0;
  #droppedTotal = 0;
  #recorded = 0;
  /** Records of batches that are out. */
  #unanswered = 0;
  /** Of these, other threads'. */
  #adopted = 0;
  #wake: (() => void) | undefined;
  /** Oldest first. */
  readonly #renames: Rename[] = [];
  /** What was told by other names, as it was recorded: another host may have those by the next try. */
  readonly #asRecorded = new WeakMap<FlowRecord, FlowRecord>();
  /** Whose names are in use. */
  #hosts: ReadonlySet<string> = new Set();

  constructor(options: RecorderOptions = {}) {
    this.zone = options.zone;
    this.#onLost = options.lost;
    this.#queue = new Ring(options.queue ?? 10_000);
    this.#recent = new Ring(options.recent ?? 200);
    this.#batch = options.batch ?? WIRE_LIMITS.flowBatch;
  }

  record(ended: FlowRecord): void {
    const { zone } = this;
    const flow = zone === undefined ? ended : { ...ended, zone };
    this.#recorded++;
    this.#recent.push(flow);
    if (this.#queue.push(flow)) this.#lost(1);
    this.#wake?.();
  }

  /** A host has another name from now on, this one or a peer: of this one control takes records by no other, also of flows that are older. */
  renamed(from: string, to: string, { own = false, told = {} }: { own?: boolean; told?: object } = {}): void {
    this.#renames.push({ from, to, atMs: Date.now(), own, told });
    if (this.#renames.length <= MOST_RENAMES) return;
    const first = this.#renames.findIndex((one) => !one.own);
    this.#renames.splice(Math.max(0, first), 1);
  }

  /** Hosts that have a name now. */
  follow(hosts: ReadonlySet<string>): void {
    this.#hosts = hosts;
  }

  /** Whether there may be flows by a name of before. */
  get wasRenamed(): boolean {
    return this.#renames.length > 0;
  }

  /** What is told of a flow, or of several of which no time is known, whose hosts had other names as they began. */
  byNamesOfNow<Flow extends Named>(flow: Flow, startedMs?: number): Flow {
    if (!this.wasRenamed) return flow;
    const [sourceHost, destinationHost] = [
      this.#nameOfNow(flow.sourceHost, startedMs),
      this.#nameOfNow(flow.destinationHost, startedMs),
    ];
    const source = flow.source === `host:${flow.sourceHost}` ? `host:${sourceHost}` : flow.source;
    return { ...flow, source, sourceHost, destinationHost };
  }

  #nameOfNow(host: string, startedMs: number | undefined): string {
    if (startedMs === undefined && this.#hosts.has(host)) return host;
    const name = this.#renamedSince(host, startedMs ?? Number.NEGATIVE_INFINITY);
    // A thread that heard of it late, or a clock that was set: nobody else can be meant by a name that nobody has.
    return name === host && !this.#hosts.has(host) ? this.#renamedSince(host, Number.NEGATIVE_INFINITY) : name;
  }

  #renamedSince(host: string, startedMs: number): string {
    let name = host;
    let last: object | undefined;
    for (const { from, to, atMs, told } of this.#renames) {
      // Of those that were told together a host has one.
      if (from !== name || atMs < startedMs || told === last) continue;
      name = to;
      last = told;
    }
    return name;
  }

  /** Takes over what another thread has recorded, and its losses, as if it had been recorded here. */
  adopt(batch: FlowBatch): void {
    for (const flow of batch.records) this.record(flow);
    this.#recorded += batch.dropped;
    this.#adopted += batch.records.length + batch.dropped;
    this.#lost(batch.dropped);
  }

  /**
   * The next records for control, as soon as there are any. They leave the queue with this call: each batch is answered
   * with `taken`, or with `restore` should the send fail. One caller at a time. Rejects when the signal is aborted.
   */
  async nextBatch(signal: AbortSignal): Promise<FlowBatch> {
    signal.throwIfAborted();
    if (this.#queue.size === 0) await this.#arrival(signal);
    const records = this.#queue.take(this.#batch).map((record) => {
      const told = this.byNamesOfNow(record, record.startedMs);
      if (told !== record) this.#asRecorded.set(told, record);
      return told;
    });
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#unanswered += records.length;
    return { records, dropped };
  }

  /** Control has this batch. */
  taken({ records }: FlowBatch): void {
    this.#unanswered -= records.length;
  }

  /** Puts back a batch that control may not have, in front of what came since, as far as there is room. */
  restore(batch: FlowBatch): void {
    this.#unanswered -= batch.records.length;
    this.#dropped += batch.dropped;
    const kept = this.#queue.putBack(batch.records.map((told) => this.#asRecorded.get(told) ?? told));
    this.#lost(batch.records.length - kept);
    this.#wake?.();
  }

  /** The last ended flows, oldest first. */
  recent(): readonly FlowRecord[] {
    return this.#recent.toArray();
  }

  /** Of those recorded, how many were other threads'. */
  get adopted(): number {
    return this.#adopted;
  }

  get counters(): RecorderCounters {
    return {
      recorded: this.#recorded,
      dropped: this.#droppedTotal,
      untold: this.#dropped,
      queued: this.#queue.size,
      unanswered: this.#unanswered,
    };
  }

  #lost(count: number): void {
    if (count === 0) return;
    this.#onLost?.();
    this.#dropped += count;
    this.#droppedTotal += count;
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#wake = undefined;
        signal.removeEventListener('abort', settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      this.#wake = settle;
      signal.addEventListener('abort', settle);
    });
  }
}

/** A bounded queue over one array: pushing over the bound forgets the oldest. No shifting, however long it is. */
export class Ring<Value> {
  readonly #slots: (Value | undefined)[] = [];
  readonly #capacity: number;
  #head = 0;
  #size = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`a ring holds at least one value, not ${capacity}`);
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#size;
  }

  /** Answers whether the oldest value was forgotten for it. */
  push(value: Value): boolean {
    this.#slots[(this.#head + this.#size) % this.#capacity] = value;
    if (this.#size < this.#capacity) {
      this.#size++;
      return false;
    }
    this.#head = (this.#head + 1) % this.#capacity;
    return true;
  }

  /** Removes and answers up to `count` of the oldest, oldest first. */
  take(count: number): Value[] {
    const taken: Value[] = [];
    while (taken.length < count && this.#size > 0) {
      taken.push(this.#slots[this.#head] as Value);
      this.#slots[this.#head] = undefined;
      this.#head = (this.#head + 1) % this.#capacity;
      this.#size--;
    }
    return taken;
  }

  /** Puts the newest of these in front of the queue, as many as there is room for. Answers how many. */
  putBack(values: readonly Value[]): number {
    const kept = Math.min(values.length, this.#capacity - this.#size);
    for (let index = values.length - 1; index >= values.length - kept; index--) {
      this.#head = (this.#head + this.#capacity - 1) % this.#capacity;
      this.#slots[this.#head] = values[index];
      this.#size++;
    }
    return kept;
  }

  toArray(): Value[] {
    return Array.from(
      { length: this.#size },
      (_, index) => this.#slots[(this.#head + index) % this.#capacity] as Value,
    );
  }
}
