/**
 * The window on disk. Runs on the thread of its own, where a query may take its time; between segments it lets others have
 * their turn.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Histogram } from './history.ts';
import { type FlowLimits, segmentBytes } from './limits.ts';
import { readMinutes } from './minute-reader.ts';
import { COLUMNS, countNew, FlowPacker, type FlowShape, type PackedFlows, ROW } from './packing.ts';
import type { Segment } from './segment.ts';
import { readSegment, type Verdict } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';
import { isDamage, SegmentList, type StoreTrouble } from './segments.ts';
import type { FlowHistory, FlowQuery, HistoryQuery, KeptFlows } from './types.ts';

export type { StoreTrouble } from './segments.ts';

export interface StoreOptions {
  readonly directory: string;
  readonly limits: FlowLimits;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly trouble: (trouble: StoreTrouble) => void;
}

export interface FoundRows {
  /** Newest first. */
  readonly packed: PackedFlows;
  readonly older: boolean;
}

/** A clock that is set back by more begins a segment anew. */
const CLOCK_BACK_MS = 60_000;

export class FlowStore {
  readonly #options: StoreOptions;
  readonly #segments: SegmentList;
  /** Of the segment that is written; made anew after a failure, since it may know what is not on disk. */
  #writer: SegmentWriter | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#segments = new SegmentList(options.directory, options.trouble);
    this.retain();
  }

  /** The highest cursor on disk. */
  get last(): number {
    return this.#segments.last;
  }

  get kept(): KeptFlows {
    return this.#segments.kept;
  }

  /** Writes all of it, as far as the disk takes it; answers how many new records of each network it did not. */
  write(packed: PackedFlows): Map<string, number> {
    const count = packed.rows.length / COLUMNS;
    let index = 0;
    try {
      while (index < count) index = this.#writeSome(packed, index, count);
      this.#replaceElsewhere(packed);
      return new Map();
    } catch (error) {
      this.#writer = undefined;
      const { newest } = this.#segments;
      if (newest !== undefined && isDamage(error)) this.#segments.setAside(newest, error);
      else {
        const path = newest?.path ?? this.#options.directory;
        this.#options.trouble({ event: 'flows-not-written', path, message: String(error) });
      }
      return countNew(packed, index);
    } finally {
      this.retain();
    }
  }

  /** The newest that pass, and whether there is another. */
  async query(network: string, query: FlowQuery, signal: AbortSignal): Promise<FoundRows> {
    const { filter, fromMs = 0, toMs = Infinity, before = Infinity, limit } = query;
    const found = new FlowPacker();
    const verdicts = new Map<FlowShape, Verdict>();
    const asked = { network, filter, fromMs, toMs, before, verdicts };
    for (const segment of this.#segments.newestFirst()) {
      if (segment.gone || segment.first >= before) continue;
      this.#segments.read(segment, () => readSegment(segment, asked, found, limit + 1));
      if (found.records > limit) break;
      await nextTurn();
      signal.throwIfAborted();
    }
    const packed = found.pack();
    const older = found.records > limit;
    return { packed: older ? { ...packed, rows: packed.rows.slice(0, limit * COLUMNS) } : packed, older };
  }

  async history(network: string, query: HistoryQuery, signal: AbortSignal): Promise<FlowHistory> {
    const histogram = new Histogram(query, this.kept, this.#options.now());
    for (const segment of this.#segments.newestFirst()) {
      if (segment.gone) continue;
      this.#segments.read(segment, () => {
        for (const sum of readMinutes(segment, network, query, histogram.fromMinute, histogram.toMinute)) {
          histogram.add(sum);
        }
      });
      await nextTurn();
      signal.throwIfAborted();
    }
    return { bucketMs: histogram.bucketMs, buckets: histogram.buckets, kept: this.kept };
  }

  /** Networks that any record is of. */
  networks(): Set<string> {
    return this.#segments.networks();
  }

  /** Reads the shapes of all segments, so that the first rare filter need not; newest first, and as far as they are held. */
  async warm(signal: AbortSignal): Promise<void> {
    for (const segment of this.#segments.newestFirst()) {
      await nextTurn();
      if (signal.aborted || this.#segments.isNearlyFull) return;
      if (!segment.gone) this.#segments.read(segment, () => segment.shapes());
    }
  }

  /** Removes what is too old or too much. */
  retain(): void {
    const { limits, now } = this.#options;
    this.#segments.retain(now() - limits.maxAgeMs, limits.maxBytes);
    if (this.#writer?.segment.gone === true) this.#writer = undefined;
  }

  close(): void {
    this.#segments.close();
  }

  #writeSome(packed: PackedFlows, from: number, count: number): number {
    const { limits } = this.#options;
    const at = (index: number, column: number): number => packed.rows[index * COLUMNS + column] ?? 0;
    const writer = this.#writerAt(at(from, ROW.atMs));
    const { segment } = writer;
    let index = from;
    writer.transaction(() => {
      for (; index < count; index += 1) {
        if (at(index, ROW.replaces) === 1) {
          if (segment.holds(at(index, ROW.cursor))) writer.replace(packed, index);
          continue;
        }
        if (index > from && isFull(writer, at(index, ROW.atMs), limits)) return;
        writer.insert(packed, index);
      }
    });
    return index;
  }

  /** Words on records of segments that are not written any more: few, and each segment's in one transaction. */
  #replaceElsewhere(packed: PackedFlows): void {
    const elsewhere = new Map<Segment, number[]>();
    for (let index = 0; index < packed.rows.length / COLUMNS; index += 1) {
      if (packed.rows[index * COLUMNS + ROW.replaces] !== 1) continue;
      const segment = this.#segments.of(packed.rows[index * COLUMNS + ROW.cursor] ?? 0);
      if (segment === undefined || segment === this.#writer?.segment) continue;
      const known = elsewhere.get(segment);
      if (known === undefined) elsewhere.set(segment, [index]);
      else known.push(index);
    }
    for (const [segment, indexes] of elsewhere) {
      this.#segments.read(segment, () => {
        const writer = new SegmentWriter(segment);
        writer.transaction(() => {
          for (const index of indexes) writer.replace(packed, index);
        });
      });
    }
  }

  #writerAt(atMs: number): SegmentWriter {
    const { newest } = this.#segments;
    if (newest?.sealed === false) {
      this.#writer ??= new SegmentWriter(newest);
      if (!isFull(this.#writer, atMs, this.#options.limits)) return this.#writer;
      this.#writer = undefined;
      newest.seal();
    }
    this.#writer = new SegmentWriter(this.#segments.create(atMs));
    return this.#writer;
  }
}

function isFull({ segment, shapes }: SegmentWriter, atMs: number, limits: FlowLimits): boolean {
  return (
    segment.records >= limits.segmentRecords ||
    shapes >= limits.segmentShapes ||
    atMs - segment.baseMs >= limits.segmentMs ||
    segment.lastMs - atMs > CLOCK_BACK_MS ||
    segment.bytes >= segmentBytes(limits)
  );
}
