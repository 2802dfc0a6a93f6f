/**
 * The window on disk. Runs on the thread of its own, where a query may take its time; between segments it lets others have
 * their turn.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { entryOf, messageOf } from '@weft/proto';
import { readFileNow, replaceFileNow } from '@weft/proto/files';
import { RetentionClock, type RetentionClockOptions } from '../retention-clock.ts';
import { Histogram, readMinutes } from './history.ts';
import type { FlowLimits } from './limits.ts';
import { COLUMNS, FlowPacker, type FlowShape, type PackedFlows, ROW } from './packing.ts';
import type { Segment } from './segment.ts';
import { readSegment, type Verdict } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';
import { SegmentWriters } from './segment-writers.ts';
import { isDamage, SegmentList, type StoreTrouble } from './segments.ts';
import type { FlowHistory, FlowQuery, HistoryQuery, KeptFlows } from './types.ts';

export type { StoreTrouble } from './segments.ts';

export interface StoreOptions extends Omit<RetentionClockOptions, 'newestMs'> {
  readonly directory: string;
  readonly limits: FlowLimits;
  readonly trouble: (trouble: StoreTrouble) => void;
}

/** How often the time that has surely passed is written down. */
const MARK_MS = 60_000;

export interface FoundRows {
  /** Newest first. */
  readonly packed: PackedFlows;
  readonly older: boolean;
  /** As FoundFlows has it. */
  readonly complete: boolean;
}

export class FlowStore {
  readonly #options: StoreOptions;
  readonly #segments: SegmentList;
  readonly #writers: SegmentWriters;
  readonly #clock: RetentionClock;
  /** Where the time that has surely passed is kept: records that come while the clock is ahead would tell of another. */
  readonly #mark: string;
  #markedMs: number;
  /** It was told that the clock is ahead. */
  #doubted: boolean = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#segments = new SegmentList(options.directory, options.trouble);
    this.#writers = new SegmentWriters(this.#segments, options.limits);
    const { now, steady } = options;
    this.#mark = `${options.directory}.clock`;
    this.#markedMs = readMark(this.#mark);
    this.#clock = new RetentionClock({ now, steady, newestMs: this.#markedMs || this.#segments.newestMs });
    this.retain();
  }

  /** The highest cursor on disk. */
  get last(): number {
    return this.#segments.last;
  }

  get kept(): KeptFlows {
    return this.#segments.kept;
  }

  /** Writes all of it, as far as the disk takes it; answers how many records of each network it did not. */
  write(packed: PackedFlows): Map<string, number> {
    const lost = new Map<string, number>();
    for (const [network, indexes] of rowsByNetwork(packed)) {
      const records = this.#writeRows(network, packed, indexes);
      if (records > 0) lost.set(network, records);
    }
    this.retain();
    return lost;
  }

  /** The newest that pass, and whether there is another. */
  async query(network: string, query: FlowQuery, signal: AbortSignal): Promise<FoundRows> {
    const { filter, fromMs = 0, toMs = Infinity, before = Infinity, after = -1, limit } = query;
    const found = new FlowPacker();
    const verdicts = new Map<FlowShape, Verdict>();
    const asked = { filter, fromMs, toMs, before, after, verdicts };
    for (const segment of this.#segments.newestFirst(network)) {
      if (segment.gone || segment.first >= before || segment.last <= after) continue;
      this.#segments.read(segment, () => readSegment(segment, asked, found, limit + 1));
      if (found.records > limit) break;
      await nextTurn();
      signal.throwIfAborted();
    }
    const packed = found.pack();
    const older = found.records > limit;
    const rows = older ? packed.rows.slice(0, limit * COLUMNS) : packed.rows;
    return { packed: { ...packed, rows }, older, complete: this.#hasAllAfter(network, after) };
  }

  /** The oldest go first. A cursor of 0 is of before the first record, which the first segment holds. */
  #hasAllAfter(network: string, cursor: number): boolean {
    const oldest = this.#segments.oldestOf(network);
    if (oldest === undefined) return cursor <= 0;
    return cursor < 0 || oldest.first <= cursor || (cursor === 0 && oldest.number === 1);
  }

  async history(network: string, query: HistoryQuery, signal: AbortSignal): Promise<FlowHistory> {
    const histogram = new Histogram(query, this.kept, this.#options.now());
    for (const segment of this.#segments.newestFirst(network)) {
      if (segment.gone) continue;
      this.#segments.read(segment, () => {
        for (const sum of readMinutes(segment, query, histogram.fromMinute, histogram.toMinute)) {
          histogram.add(sum);
        }
      });
      await nextTurn();
      signal.throwIfAborted();
    }
    return { bucketMs: histogram.bucketMs, buckets: histogram.buckets, kept: this.kept };
  }

  /** Networks that any record is of. */
  get networks(): readonly string[] {
    return this.#segments.networks;
  }

  /** Reads the shapes of all segments, so that the first rare filter need not; newest first, and as far as they are held. */
  async warm(signal: AbortSignal): Promise<void> {
    for (const segment of this.#segments.allNewestFirst()) {
      await nextTurn();
      if (signal.aborted || this.#segments.isNearlyFull) return;
      if (!segment.gone) this.#segments.read(segment, () => segment.shapes());
    }
  }

  /** Removes all of the network, at any age. */
  forget(network: string): void {
    this.#writers.forget(network);
    this.#segments.forget(network);
  }

  /** Removes what is too old or too much. */
  retain(): void {
    const { limits, now } = this.#options;
    const { nowMs, aheadMs } = this.#clock.read();
    this.#segments.retain(nowMs - limits.maxAgeMs, limits.maxBytes);
    this.#writers.retain(now());
    this.#keepMark();
    this.#doubt(aheadMs, this.#segments.recordsBefore(nowMs + aheadMs - limits.maxAgeMs));
  }

  #keepMark(): void {
    const { sureMs } = this.#clock;
    if (Math.abs(sureMs - this.#markedMs) < MARK_MS) return;
    this.#markedMs = sureMs;
    try {
      replaceFileNow(this.#mark, String(Math.trunc(sureMs)));
    } catch {
      // An older one throws nothing away too early.
    }
  }

  /** Said before anything is thrown away by a clock that went ahead, so that there is time to set it right. */
  #doubt(aheadMs: number, records: number): void {
    if (aheadMs === 0) this.#doubted = false;
    if (aheadMs === 0 || records === 0 || this.#doubted) return;
    this.#doubted = true;
    const hours = Math.round(aheadMs / 3_600_000);
    const message = `the clock went ahead by ${hours} h; ${records} records would be too old, and go in an hour if it stays so`;
    this.#options.trouble({ event: 'flows-clock-ahead', path: this.#options.directory, message });
  }

  close(): void {
    this.#segments.close();
  }

  /** Writes these rows, which are of one network; answers how many of its records are lost. */
  #writeRows(network: string, packed: PackedFlows, indexes: readonly number[]): number {
    let written = 0;
    try {
      while (written < indexes.length) written = this.#writeSome(network, packed, indexes, written);
      this.#replaceElsewhere(network, packed, indexes);
      return 0;
    } catch (error) {
      const newest = this.#segments.newestOf(network);
      this.#writers.forget(network);
      if (newest !== undefined && isDamage(error)) this.#segments.setAside(newest, error);
      else {
        const path = newest?.path ?? this.#options.directory;
        this.#options.trouble({ event: 'flows-not-written', path, message: messageOf(error) });
      }
      const elsewhere = (index: number): boolean => this.#elsewhere(network, packed, index) !== undefined;
      return indexes.length - written + indexes.slice(0, written).filter(elsewhere).length;
    }
  }

  #writeSome(network: string, packed: PackedFlows, indexes: readonly number[], from: number): number {
    const at = (place: number, column: number): number => packed.rows[(indexes[place] ?? 0) * COLUMNS + column] ?? 0;
    const writer = this.#writers.at(network, at(from, ROW.atMs), this.#options.now());
    const { segment } = writer;
    let place = from;
    writer.transaction(() => {
      for (; place < indexes.length; place += 1) {
        const index = indexes[place] ?? 0;
        if (at(place, ROW.replaces) === 1) {
          if (segment.holds(at(place, ROW.cursor))) writer.replace(packed, index);
          continue;
        }
        if (place > from && this.#writers.isFull(writer, at(place, ROW.atMs))) return;
        writer.insert(packed, index);
      }
    });
    segment.measure();
    segment.noteRecords();
    return place;
  }

  /** The segment, not written any more, of the record that this row replaces. */
  #elsewhere(network: string, packed: PackedFlows, index: number): Segment | undefined {
    if (packed.rows[index * COLUMNS + ROW.replaces] !== 1) return undefined;
    const segment = this.#segments.of(network, packed.rows[index * COLUMNS + ROW.cursor] ?? 0);
    return segment === this.#segments.newestOf(network) ? undefined : segment;
  }

  /** Words on records of segments that are not written any more: few, and each segment's in one transaction. */
  #replaceElsewhere(network: string, packed: PackedFlows, indexes: readonly number[]): void {
    const elsewhere = new Map<Segment, number[]>();
    for (const index of indexes) {
      const segment = this.#elsewhere(network, packed, index);
      if (segment !== undefined) entryOf(elsewhere, segment, () => []).push(index);
    }
    for (const [segment, others] of elsewhere) {
      this.#segments.read(segment, () => {
        const writer = new SegmentWriter(segment);
        writer.transaction(() => {
          for (const index of others) writer.replace(packed, index);
        });
      });
    }
  }
}

/** Milliseconds since the Unix epoch; 0 where there is none. */
function readMark(path: string): number {
  try {
    const markMs = Number(readFileNow(path));
    return Number.isSafeInteger(markMs) && markMs > 0 ? markMs : 0;
  } catch {
    return 0;
  }
}

/** Places of each network's rows, in order. */
function rowsByNetwork({ shapes, rows }: PackedFlows): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let index = 0; index < rows.length / COLUMNS; index += 1) {
    const network = shapes[rows[index * COLUMNS + ROW.shape] ?? -1]?.network ?? '';
    entryOf(places, network, () => []).push(index);
  }
  return places;
}
