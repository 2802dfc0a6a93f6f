/**
 * Keeps control's memory near what it needs: while it works, and when it rests, as an agent does (`proto/house`). V8 lets a heap that was never large grow by half a gigabyte before it collects
 * all of it, and records that pass through, some thousand a second, are garbage that has lived long enough to need that.
 */
import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { keepHouse, memoryReturner } from '@weft/proto/house';

/** What is looked at, and what is done. Times in milliseconds. */
export interface Heap {
  now(): number;
  /** Bytes that the heap holds, garbage and free pages too. */
  held(): number;
  /** Collects everything, and returns free pages to the system. */
  collect(): void;
}

const LOOK_MS = 2_000;
/** Growth that is worth a pause of some 50 ms. */
const WORTH_BYTES = 48 * 1024 * 1024;
/** A pause is followed by at least this many times its length without one. */
const REST = 100;

export class HeapKeeper {
  readonly #heap: Heap;
  #kept: number;
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(heap: Heap) {
    this.#heap = heap;
    this.#kept = heap.held();
  }

  /** To be called every few seconds. */
  look(): void {
    const began = this.#heap.now();
    if (began < this.#restUntil || this.#heap.held() - this.#kept < WORTH_BYTES) return;
    this.#heap.collect();
    // Measured after it: what does not go away is no reason to try again.
    this.#kept = this.#heap.held();
    const ended = this.#heap.now();
    this.#restUntil = ended + REST * (ended - began);
  }
}

/** Until the returned function is called. Where V8 cannot be asked to collect, it does so when it likes. */
export function keepHeapSmall(): () => void {
  const collect = findCollector();
  if (collect === undefined) return () => {};
  const keeper = new HeapKeeper({
    now: () => performance.now(),
    held: () => {
      const { total_heap_size: heap, external_memory: outside } = getHeapStatistics();
      return heap + outside;
    },
    collect,
  });
  const timer = setInterval(() => keeper.look(), LOOK_MS).unref();
  const life = new AbortController();
  // The thread of the flows has nothing to do where the main one rests.
  keepHouse(life.signal, { alone: () => true, collect, memory: memoryReturner() });
  return () => {
    clearInterval(timer);
    life.abort();
  };
}

function findCollector(): (() => void) | undefined {
  // Known to V8 only once its flag is set, and to contexts that are made after that.
  setFlagsFromString('--expose-gc');
  const collector: unknown = runInNewContext('gc');
  if (typeof collector !== 'function') return undefined;
  return () => void collector({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
