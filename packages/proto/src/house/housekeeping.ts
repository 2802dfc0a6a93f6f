/**
 * Gives memory back that is held for nothing. V8 collects when a program allocates, so an agent that has started, or that
 * has just let go of thousands of connections, would keep its garbage until the next busy hour: a third of its memory.
 * Collecting all of it stops the thread, 60 to 120 ms for an agent of 1,000 services: so it is done when nothing happens,
 * when there is something to give back, and for a bounded share of the time. It also takes from V8 the shapes of objects of which there is none at
 * the moment, and with them the code that was optimized for these: so that is done a minute after something has run, and only the start's own goes soon, and garbage
 * of whoever never rests for a minute when there is much of it, no sooner than a minute after the last. What is held
 * outside of the heap, by malloc and as pages of Node's own file, goes with the first collection, and then after each long rest before which it grew: the pages
 * where it grew by much, for they come back with what runs on, and what malloc keeps free where it grew at all, for that costs a millisecond.
 */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { busyShare } from './busy-share.ts';
import type { MemoryReturner } from './memory-returner.ts';

/** What is looked at, and what is done. Times in milliseconds. */
export interface House {
  now(): number;
  /** Share of the time since the last call in which this thread was at work, from 0 to 1. */
  busy(): number;
  /** Bytes that this thread's heap holds, garbage and free pages too. */
  held(): number;
  /** Bytes of memory that the process has, by the kernel's word. */
  resident(): number;
  /** Whether the process has no other thread that works, now. */
  alone(): boolean;
  /** Told when a rest begins of a process in which nothing else works, and when it ends. */
  rests(resting: boolean): void;
  /** Collects everything, and returns free pages to the system; with `start`, what only the start needed too. */
  collect(start: boolean): void;
  /** Returns what is kept free outside of the heap, and with `files` what may be read again; undefined where that is not to be had. */
  readonly giveBack: ((files: boolean) => void) | undefined;
}

const LOOK_MS = 1_000;
/** An idle agent with 1,000 services is busy for a hundredth of the time. */
const QUIET = 0.05;
/** Quiet this many times in a row: the start is over. */
const QUIET_LOOKS = 3;
/** Less growth than this is not worth a pause; what an idle agent throws away between two collections stays under it. */
const WORTH_BYTES = 8 * 1024 * 1024;
/** Growth that is not left until a long rest, which callers now and then may keep from ever coming: V8 alone lets a small heap grow by more than twice that. */
const MUCH_BYTES = 48 * 1024 * 1024;
/** Quiet this many times in a row: a long rest. */
const RESTING_LOOKS = 10;
/** The same of a rest that whoever has callers now and then does not come to. */
const LEFT_LOOKS = 60;
/** Much is collected again no sooner: V8 takes half of that for a burst alone, and whoever has bursts would have each of them collected. */
const MUCH_AGAIN_MS = LEFT_LOOKS * LOOK_MS;
/** Of the process. What an idle agent's young garbage and the pages of Node's file that it goes on with come to stays under it. */
const WORTH_RESIDENT_BYTES = 16 * 1024 * 1024;
/** The same of what goes without a page of files. */
const WORTH_TRIMMING_BYTES = 4 * 1024 * 1024;
/** Who is quiet for the first time later than that has run what is hot since its start, and keeps it. */
const START_MS = 60_000;
/** A pause is followed by at least this many times its length without one. */
const REST = 50;

export class Housekeeping {
  readonly #house: House;
  #quiet = 0;
  /** Held after the last collection, and before the first one as this began. */
  #from: number;
  /** Held after the last collection. The start counts as growth: what loading left behind goes with the first one. */
  #kept = 0;
  /** What the process had after memory was given back last, files and all, */
  #residentKept = 0;
  /** and after what malloc keeps free was. */
  #trimmedKept = 0;
  /** Whether another thread has worked since the last collection. Compiling for it, too, took memory. */
  #helped: boolean = false;
  #resting: boolean = false;
  #restUntil = Number.NEGATIVE_INFINITY;
  #collectedMs = Number.NEGATIVE_INFINITY;
  readonly #startedMs: number;

  constructor(house: House) {
    this.#house = house;
    // From here on, and not since the thread began.
    house.busy();
    this.#startedMs = house.now();
    this.#from = house.held();
  }

  /** To be called about once a second. */
  look(): void {
    const house = this.#house;
    const busy = house.busy();
    this.#quiet = busy < QUIET ? this.#quiet + 1 : 0;
    const alone = house.alone();
    if (!alone) this.#helped = true;
    const resting = alone && this.#quiet >= QUIET_LOOKS;
    if (resting !== this.#resting) house.rests(resting);
    this.#resting = resting;
    if (this.#quiet >= QUIET_LOOKS && house.now() >= this.#restUntil) this.#tidy(alone);
  }

  #tidy(alone: boolean): void {
    const house = this.#house;
    const began = house.now();
    const held = house.held();
    const grew = held - this.#kept >= WORTH_BYTES;
    const grewMuch = held - this.#from >= MUCH_BYTES && began - this.#collectedMs >= MUCH_AGAIN_MS;
    // What the start ran does not run again.
    const start = grew && this.#kept === 0 && began - this.#startedMs <= START_MS;
    const left = this.#quiet >= LEFT_LOOKS;
    const helpLeft = left && this.#helped && alone;
    const collects = start || grewMuch || helpLeft || (left && grew);
    if (collects) {
      house.collect(start);
      this.#collectedMs = began;
      this.#helped = !alone;
      // Measured after it: what does not go away is no reason to try again.
      this.#kept = this.#from = house.held();
    }
    const returns = this.#gives(house, start || helpLeft, collects);
    if (!collects && !returns) return;
    const ended = house.now();
    this.#restUntil = ended + REST * (ended - began);
    // The pause itself is no work.
    house.busy();
  }

  /**
   * Gives back what it holds outside of the heap, where that is worth it: a long rest behind growth, what a collection has freed, or once what is `over`, a start or another thread's
   * help, needs its pages no more. Whether it did.
   */
  #gives(house: House, over: boolean, collected: boolean): boolean {
    const { giveBack } = house;
    if (giveBack === undefined || (!over && this.#quiet < RESTING_LOOKS)) return false;
    const resident = house.resident();
    const files = over || resident - this.#residentKept >= WORTH_RESIDENT_BYTES;
    if (!files && !collected && resident - this.#trimmedKept < WORTH_TRIMMING_BYTES) return false;
    giveBack(files);
    this.#trimmedKept = house.resident();
    if (files) this.#residentKept = this.#trimmedKept;
    return true;
  }
}

/** By what a thread keeps house. */
export interface Keeping {
  /**
   * Whether the process has no other thread that works, now. Compiled code, what malloc keeps free and pages of files are the process',
   * and letting go of them would slow whoever is at work.
   */
  alone(): boolean;
  /** As `House` has it. Undefined where V8 cannot be asked to collect: it does so when it likes. */
  readonly collect: ((start: boolean) => void) | undefined;
  readonly memory: MemoryReturner | undefined;
}

/** Keeps this thread's memory small until the signal is aborted. */
export function keepHouse(signal: AbortSignal, { alone, collect, memory }: Keeping): void {
  const housekeeping = new Housekeeping({
    now: () => performance.now(),
    busy: busyShare(),
    held: () => {
      const { total_heap_size: heap, external_memory: outside } = getHeapStatistics();
      return heap + outside;
    },
    resident: () => process.memoryUsage.rss(),
    alone,
    rests: (resting) => memory?.trimAtOnce(resting),
    collect: (start) => collect?.(start && alone()),
    get giveBack() {
      return alone() ? memory?.giveBack : undefined;
    },
  });
  const timer = setInterval(() => housekeeping.look(), LOOK_MS).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
