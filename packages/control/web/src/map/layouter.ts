/** Layouts of all, found by a thread of their own so that the page does not freeze; without one, on the page's. */
import type { ArrangeOptions } from './arrange.ts';
import type { LayoutAnswer, LayoutQuestion } from './layout.worker.ts';
import type { Item, Link, Rect } from './places.ts';

export interface LayoutFinder {
  find(items: readonly Item[], links: readonly Link[], options: ArrangeOptions): Promise<Map<string, Rect>>;
  close(): void;
}

export class WorkerLayouter implements LayoutFinder {
  readonly #waiting = new Map<number, (places: Map<string, Rect> | undefined) => void>();
  #worker: Worker | undefined;
  #asked = 0;

  constructor() {
    try {
      this.#worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
    } catch {
      // A browser that permits no worker: layouts are found here.
      return;
    }
    this.#worker.addEventListener('message', ({ data }: MessageEvent<LayoutAnswer>) => {
      this.#waiting.get(data.id)?.(new Map(data.places));
      this.#waiting.delete(data.id);
    });
    this.#worker.addEventListener('error', () => this.close());
  }

  async find(items: readonly Item[], links: readonly Link[], options: ArrangeOptions): Promise<Map<string, Rect>> {
    const places = await this.#ask(items, links, options);
    if (places !== undefined) return places;
    const { arrange } = await import('./arrange.ts');
    return arrange(items, links, options);
  }

  /** Whoever waits still is answered without the worker. */
  close(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const answer of this.#waiting.values()) answer(undefined);
    this.#waiting.clear();
  }

  #ask(
    items: readonly Item[],
    links: readonly Link[],
    options: ArrangeOptions,
  ): Promise<Map<string, Rect> | undefined> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.resolve(undefined);
    this.#asked += 1;
    const question: LayoutQuestion = { id: this.#asked, items, links, options };
    return new Promise((resolve) => {
      this.#waiting.set(question.id, resolve);
      worker.postMessage(question);
    });
  }
}
