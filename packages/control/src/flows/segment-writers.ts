/**
 * The segment of each network that is written. Few are open at once: a network of which nothing is told costs its file, and
 * neither handles nor memory.
 */
import { type FlowLimits, segmentBytes } from './limits.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { SegmentList } from './segments.ts';

/** Writers open at once: each has three files open. */
const OPEN = 32;
/** Shapes that all of them may know. */
const SHAPES = 200_000;
/** Kibibytes of pages that all of them hold, and that one holds at least. */
const CACHE = 24_576;
const LEAST_CACHE = 1_024;
/** One that has written nothing for so long is closed, which also gives back the space of its log. */
const IDLE_MS = 60_000;
/** A clock that is set back by more begins a segment anew. */
const CLOCK_BACK_MS = 60_000;

interface Opened {
  readonly writer: SegmentWriter;
  readonly usedMs: number;
}

export class SegmentWriters {
  readonly #segments: SegmentList;
  readonly #limits: FlowLimits;
  /** By network; first the one that was used longest ago. */
  readonly #open = new Map<string, Opened>();
  #cache = 0;

  constructor(segments: SegmentList, limits: FlowLimits) {
    this.#segments = segments;
    this.#limits = limits;
  }

  /** The one to write a record with that came at `atMs`. Made anew it costs a little: it reads which shapes there are. */
  at(network: string, atMs: number, nowMs: number): SegmentWriter {
    let writer = this.#open.get(network)?.writer;
    this.#open.delete(network);
    if (writer === undefined || writer.segment.gone) {
      const newest = this.#segments.newestOf(network);
      newest?.unseal();
      writer = newest === undefined ? undefined : new SegmentWriter(newest);
    }
    if (writer !== undefined && this.isFull(writer, atMs)) {
      writer.segment.seal();
      writer = undefined;
    }
    if (writer === undefined) {
      const segment = this.#segments.create(network, atMs);
      segment.unseal();
      writer = new SegmentWriter(segment);
    }
    this.#open.set(network, { writer, usedMs: nowMs });
    this.#closeMost();
    this.#shareCache(writer);
    return writer;
  }

  isFull({ segment, shapes }: SegmentWriter, atMs: number): boolean {
    const limits = this.#limits;
    return (
      segment.records >= limits.segmentRecords ||
      shapes >= limits.segmentShapes ||
      atMs - segment.baseMs >= limits.segmentMs ||
      segment.lastMs - atMs > CLOCK_BACK_MS ||
      segment.bytes >= segmentBytes(limits, this.#segments.networks.length)
    );
  }

  /** After a failure: it may know what is not on disk. */
  forget(network: string): void {
    this.#open.delete(network);
  }

  /** Closes those that write nothing, and lets go of those whose segment was removed. */
  retain(nowMs: number): void {
    for (const [network, { writer, usedMs }] of this.#open) {
      if (writer.segment.gone) this.#open.delete(network);
      else if (Math.abs(nowMs - usedMs) >= IDLE_MS) this.#close(network, writer);
    }
  }

  #closeMost(): void {
    let shapes = 0;
    for (const { writer } of this.#open.values()) shapes += writer.shapes;
    for (const [network, { writer }] of this.#open) {
      if (this.#open.size <= 1 || (this.#open.size <= OPEN && shapes <= SHAPES)) return;
      shapes -= writer.shapes;
      this.#close(network, writer);
    }
  }

  #close(network: string, { segment }: SegmentWriter): void {
    this.#open.delete(network);
    if (segment.gone) return;
    segment.forgetShapes();
    segment.close();
    segment.measure();
  }

  #shareCache({ segment }: SegmentWriter): void {
    const cache = Math.max(LEAST_CACHE, Math.floor(CACHE / this.#open.size));
    if (cache === this.#cache) segment.holdPages(cache);
    else for (const { writer } of this.#open.values()) if (!writer.segment.gone) writer.segment.holdPages(cache);
    this.#cache = cache;
  }
}
