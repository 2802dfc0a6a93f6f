/** The segments there are, the newest of which is written: opened and closed, kept within bounds, set aside when damaged. */
import { SegmentDamagedError } from './errors.ts';
import { rowsOf, Segment } from './segment.ts';
import { SegmentDirectory } from './segment-directory.ts';
import { ShapeInterner } from './shapes.ts';
import type { KeptFlows } from './types.ts';

/** What an operator should hear of. */
export interface StoreTrouble {
  readonly event: 'flows-segment-damaged' | 'flows-segment-unreadable' | 'flows-not-written';
  readonly path: string;
  readonly message: string;
}

/** Databases open at once: each holds a mebibyte of pages. */
const OPEN = 32;
/** Entries of shapes held, over all segments: 24 bytes each. */
const SHAPES = 1_000_000;

export class SegmentList {
  readonly #directory: SegmentDirectory;
  readonly #trouble: (trouble: StoreTrouble) => void;
  readonly #interner = new ShapeInterner();
  /** Oldest first; the last is written. */
  #segments: Segment[] = [];
  #nextNumber = 1;
  #damagedBytes = 0;

  constructor(directory: string, trouble: (trouble: StoreTrouble) => void) {
    this.#trouble = trouble;
    this.#directory = new SegmentDirectory(directory);
    for (const { number, path } of this.#directory.segments()) {
      this.#nextNumber = number + 1;
      try {
        const segment = Segment.open(path, number, this.#interner);
        segment.close();
        this.#segments.push(segment);
      } catch (error) {
        if (isDamage(error)) this.#rename(path, error);
        // It may be sound, and be read at the next start.
        else trouble({ event: 'flows-segment-unreadable', path, message: String(error) });
      }
    }
    // It is written on.
    const { newest } = this;
    if (newest !== undefined) this.read(newest, () => newest.unseal());
  }

  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** The highest cursor. */
  get last(): number {
    return Math.max(0, ...this.#segments.map(({ last }) => last));
  }

  get kept(): KeptFlows {
    const filled = this.#segments.filter(({ records }) => records > 0);
    return {
      records: filled.reduce((sum, { records }) => sum + records, 0),
      oldestMs: filled[0]?.baseMs ?? 0,
      diskBytes: this.#segments.reduce((sum, { bytes }) => sum + bytes, this.#damagedBytes),
    };
  }

  /** Whether more shapes in memory would soon push others out. */
  get isNearlyFull(): boolean {
    return this.#loaded() > (SHAPES * 3) / 4;
  }

  /** Networks that any record is of. */
  networks(): Set<string> {
    const names = new Set<string>();
    for (const segment of this.newestFirst()) {
      this.read(segment, () => {
        for (const [network] of rowsOf(segment.statement('SELECT DISTINCT network FROM groups').all())) {
          names.add(String(network));
        }
      });
    }
    return names;
  }

  /** As they are now; whoever walks them over several turns looks whether each is still there. */
  newestFirst(): Segment[] {
    return this.#segments.toReversed();
  }

  /** The one that holds this cursor. */
  of(cursor: number): Segment | undefined {
    return this.#segments.find((segment) => segment.holds(cursor));
  }

  /** A new and empty one, to be written. */
  create(baseMs: number): Segment {
    const number = this.#nextNumber++;
    const segment = Segment.create(this.#directory.pathOf(number), number, baseMs, this.#interner);
    this.#segments.push(segment);
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
    this.#rename(segment.path, cause);
  }

  /** Removes what came before that time, and the oldest of what takes more space than that. */
  retain(beforeMs: number, maxBytes: number): void {
    this.newest?.measure();
    const damaged = this.#directory.damaged(beforeMs);
    this.#damagedBytes = damaged.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of damaged) {
      if (this.kept.diskBytes <= maxBytes) break;
      this.#directory.remove(path);
      this.#damagedBytes -= bytes;
    }
    for (const segment of [...this.#segments]) {
      if (segment.lastMs < beforeMs) this.#remove(segment);
    }
    // The one that is written grows to an eighth of the bound at most, and so it is not this one's turn.
    while (this.#segments.length > 1 && this.kept.diskBytes > maxBytes) this.#remove(this.#segments[0] as Segment);
  }

  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  /** Keeps what is held in memory within bounds, least of all taking it from the one just used. */
  #holdLess(used: Segment): void {
    if (this.#interner.full) {
      this.#interner.clear();
      for (const segment of this.#segments) segment.forgetShapes();
    }
    const others = this.#segments.slice(0, -1).filter((segment) => segment !== used);
    let open = others.filter(({ isOpen }) => isOpen).length;
    for (const segment of others) {
      if (open < OPEN) break;
      if (!segment.isOpen) continue;
      segment.close();
      open -= 1;
    }
    for (const segment of others) {
      if (this.#loaded() <= SHAPES) break;
      segment.forgetShapes();
    }
  }

  #loaded(): number {
    return this.#segments.reduce((sum, { loadedShapes }) => sum + (loadedShapes?.shapes.length ?? 0), 0);
  }

  #remove(segment: Segment): void {
    this.#abandon(segment);
    this.#directory.remove(segment.path);
  }

  #abandon(segment: Segment): void {
    segment.abandon();
    this.#segments = this.#segments.filter((one) => one !== segment);
  }

  #rename(path: string, cause: unknown): void {
    let message = String(cause);
    try {
      this.#directory.setAside(path);
    } catch (error) {
      message += `; it could not be renamed: ${String(error)}`;
    }
    this.#trouble({ event: 'flows-segment-damaged', path, message });
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, or what we found out ourselves. */
export function isDamage(error: unknown): boolean {
  if (error instanceof SegmentDamagedError) return true;
  if (!(error instanceof Error)) return false;
  const code = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
  return code === 11 || code === 26;
}
