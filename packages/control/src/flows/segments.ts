/**
 * The segments there are, each of one network, the newest of which is written: opened and closed, kept within bounds, set aside
 * when damaged.
 */
import { entryOf, fileLimit, isAbsent, messageOf, reservedFiles } from '@weft/proto';
import { SegmentDamagedError, SegmentNewerError } from './errors.ts';
import { notedRecords, Segment } from './segment.ts';
import { SegmentDirectory, type SegmentFile } from './segment-directory.ts';
import { ShapeInterner } from './shapes.ts';
import type { KeptFlows } from './types.ts';

/** What an operator should hear of. */
export interface StoreTrouble {
  readonly event:
    | 'flows-segment-damaged'
    | 'flows-segment-newer'
    | 'flows-segment-unreadable'
    | 'flows-segment-short'
    | 'flows-segment-gone'
    | 'flows-not-written'
    | 'flows-clock-ahead';
  readonly path: string;
  readonly message: string;
  /** Records that were written and are not there any more. */
  readonly lost?: { readonly network: string; readonly records: number };
}

/** Databases open at once: each holds a mebibyte of pages, and three files. */
const OPEN = Math.min(32, Math.floor(reservedFiles(fileLimit()) / 3));
/** Entries of shapes held, over all segments: 24 bytes each. */
const SHAPES = 1_000_000;
/** More cursors than a newer version can have given in the time that is kept: there is no room for as many records. */
const CURSORS = 2 ** 28;

export class SegmentList {
  readonly #directory: SegmentDirectory;
  readonly #trouble: (trouble: StoreTrouble) => void;
  readonly #interner = new ShapeInterner();
  /** Of each network, oldest first; the last is written. */
  readonly #networks = new Map<string, Segment[]>();
  /** The highest number that each network has given. */
  readonly #numbers = new Map<string, number>();
  #unreadBytes = 0;
  /** Cursors that may stand in segments of a newer version. */
  #passedOver = 0;

  constructor(directory: string, trouble: (trouble: StoreTrouble) => void) {
    this.#trouble = trouble;
    this.#directory = new SegmentDirectory(directory);
    for (const file of this.#directory.segments()) {
      this.#numbers.set(file.network, file.number);
      try {
        if (this.#isGone(file)) continue;
        const segment = Segment.open(file, this.#interner);
        segment.close();
        segment.measure();
        this.#append(segment);
        this.#compare(segment);
      } catch (error) {
        if (error instanceof SegmentNewerError) this.#leave(file.path, error);
        else if (isDamage(error)) this.#rename(file, notedRecords(file.path), error);
        // It may be sound, and be read at the next start.
        else trouble({ event: 'flows-segment-unreadable', path: file.path, message: messageOf(error) });
      }
    }
  }

  /** Networks that any record is of. */
  get networks(): string[] {
    return [...this.#networks.keys()];
  }

  newestOf(network: string): Segment | undefined {
    return this.#networks.get(network)?.at(-1);
  }

  oldestOf(network: string): Segment | undefined {
    return this.#networks.get(network)?.[0];
  }

  /** The highest cursor. */
  get last(): number {
    let last = 0;
    for (const segment of this.#all()) last = Math.max(last, segment.last);
    return last + this.#passedOver;
  }

  /** When the newest record came; 0 when there is none. */
  get newestMs(): number {
    let newestMs = 0;
    for (const segment of this.#all()) if (segment.records > 0) newestMs = Math.max(newestMs, segment.lastMs);
    return newestMs;
  }

  recordsBefore(beforeMs: number): number {
    let records = 0;
    for (const segment of this.#all()) if (segment.lastMs < beforeMs) records += segment.records;
    return records;
  }

  get kept(): KeptFlows {
    let [records, oldestMs, diskBytes] = [0, Infinity, this.#unreadBytes];
    for (const segment of this.#all()) {
      records += segment.records;
      diskBytes += segment.bytes;
      if (segment.records > 0) oldestMs = Math.min(oldestMs, segment.baseMs);
    }
    return { records, oldestMs: records === 0 ? 0 : oldestMs, diskBytes };
  }

  /** Whether more shapes in memory would soon push others out. */
  get isNearlyFull(): boolean {
    return this.#loaded() > (SHAPES * 3) / 4;
  }

  /** As they are now; whoever walks them over several turns looks whether each is still there. */
  newestFirst(network: string): Segment[] {
    return (this.#networks.get(network) ?? []).toReversed();
  }

  /** Those of all networks. */
  allNewestFirst(): Segment[] {
    return [...this.#all()].sort((one, other) => other.lastMs - one.lastMs);
  }

  /** The one that holds this cursor. */
  of(network: string, cursor: number): Segment | undefined {
    return this.#networks.get(network)?.find((segment) => segment.holds(cursor));
  }

  /** A new and empty one, to be written. */
  create(network: string, baseMs: number): Segment {
    const number = (this.#numbers.get(network) ?? 0) + 1;
    const path = this.#directory.place(network, number);
    this.#numbers.set(network, number);
    const segment = Segment.create({ network, number, path }, baseMs, this.#interner);
    this.#append(segment);
    return segment;
  }

  /** Runs what reads a segment; one that turns out damaged is set aside, and the rest goes on. */
  read(segment: Segment, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.setAside(segment, error);
    }
    this.#holdLess(segment);
  }

  setAside(segment: Segment, cause: unknown): void {
    this.#abandon(segment);
    this.#rename(segment, segment.records, cause);
  }

  /**
   * Removes what came before that time, and while all takes more space than that, the oldest of the network that takes most: a
   * network with no more than its share is never that one, so that nobody pushes out what others did.
   */
  retain(beforeMs: number, maxBytes: number): void {
    for (const segment of [...this.#all()]) {
      if (segment.lastMs < beforeMs) this.#remove(segment);
    }
    const unread = this.#directory.unread(beforeMs);
    this.#unreadBytes = unread.reduce((sum, { bytes }) => sum + bytes, 0);
    let { diskBytes } = this.kept;
    for (const { path, bytes } of unread) {
      if (diskBytes <= maxBytes) break;
      this.#directory.remove(path);
      this.#unreadBytes -= bytes;
      diskBytes -= bytes;
    }
    while (diskBytes > maxBytes) {
      const [oldest] = this.#largest();
      if (oldest === undefined) break;
      diskBytes -= oldest.bytes;
      this.#remove(oldest);
    }
    this.#holdLess(undefined);
  }

  /** Removes all of the network, what could not be read too. */
  forget(network: string): void {
    for (const segment of this.#networks.get(network) ?? []) this.#remove(segment);
    this.#directory.forget(network);
    this.#numbers.delete(network);
  }

  close(): void {
    for (const segment of this.#all()) segment.close();
  }

  *#all(): Generator<Segment> {
    for (const segments of this.#networks.values()) yield* segments;
  }

  /** Segments of the network that takes most space. */
  #largest(): readonly Segment[] {
    let largest: readonly Segment[] = [];
    let most = -1;
    for (const segments of this.#networks.values()) {
      const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
      if (bytes > most) [largest, most] = [segments, bytes];
    }
    return largest;
  }

  /** Keeps what is held in memory within bounds, least of all taking it from the one just used and those that are written. */
  #holdLess(used: Segment | undefined): void {
    if (this.#interner.full) {
      this.#interner.clear();
      for (const segment of this.#all()) segment.forgetShapes();
    }
    const others = [...this.#all()].filter((segment) => segment !== used && !segment.writing);
    let open = others.filter(({ isOpen }) => isOpen).length;
    for (const segment of others) {
      if (open < OPEN) break;
      if (!segment.isOpen) continue;
      segment.close();
      open -= 1;
    }
    let loaded = this.#loaded();
    for (const segment of others) {
      if (loaded <= SHAPES) break;
      loaded -= segment.loadedShapes?.shapes.length ?? 0;
      segment.forgetShapes();
    }
  }

  #loaded(): number {
    let loaded = 0;
    for (const { loadedShapes } of this.#all()) loaded += loadedShapes?.shapes.length ?? 0;
    return loaded;
  }

  #append(segment: Segment): void {
    entryOf(this.#networks, segment.network, () => []).push(segment);
  }

  #remove(segment: Segment): void {
    this.#abandon(segment);
    this.#directory.remove(segment.path);
  }

  #abandon(segment: Segment): void {
    segment.abandon();
    const left = (this.#networks.get(segment.network) ?? []).filter((one) => one !== segment);
    if (left.length > 0) this.#networks.set(segment.network, left);
    else this.#networks.delete(segment.network);
  }

  /** What a crash, or a copy that ends too early, took from the log is told, and the rest is kept. */
  #compare(segment: Segment): void {
    const { path, records, notedRecords } = segment;
    if (records >= notedRecords) return;
    const message = `it holds ${records} of the ${notedRecords} records that were written to it; the others are lost`;
    const lost = { network: segment.network, records: notedRecords - records };
    this.#trouble({ event: 'flows-segment-short', path, message, lost });
    segment.noteRecords();
  }

  /** A segment that somebody took away left its note, and is told of once. */
  #isGone({ network, path }: SegmentFile): boolean {
    if (!isAbsent(path)) return false;
    const records = notedRecords(path);
    this.#directory.remove(path);
    const message = `the file is gone, and with it the ${records} records that were written to it`;
    this.#trouble({ event: 'flows-segment-gone', path, message, lost: { network, records } });
    return true;
  }

  #leave(path: string, { message }: SegmentNewerError): void {
    this.#directory.leave(path);
    this.#passedOver = CURSORS;
    this.#trouble({ event: 'flows-segment-newer', path, message });
  }

  #rename({ network, path }: SegmentFile, records: number, cause: unknown): void {
    let message = String(cause);
    try {
      this.#directory.setAside(path);
    } catch (error) {
      message += `; it could not be renamed: ${messageOf(error)}`;
    }
    this.#trouble({ event: 'flows-segment-damaged', path, message, lost: { network, records } });
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, or what we found out ourselves. */
export function isDamage(error: unknown): boolean {
  if (error instanceof SegmentDamagedError) return true;
  if (!(error instanceof Error)) return false;
  const code = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
  return code === 11 || code === 26;
}
