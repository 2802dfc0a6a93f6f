/** The thread that finds layouts. */
import { type ArrangeOptions, arrange } from './arrange.ts';
import type { Item, Link, Rect } from './places.ts';

export interface LayoutQuestion {
  readonly id: number;
  readonly items: readonly Item[];
  readonly links: readonly Link[];
  readonly options: ArrangeOptions;
}

export interface LayoutAnswer {
  readonly id: number;
  readonly places: readonly (readonly [string, Rect])[];
}

addEventListener('message', ({ data }: MessageEvent<LayoutQuestion>) => {
  const places = arrange(data.items, data.links, data.options);
  const answer: LayoutAnswer = { id: data.id, places: [...places] };
  postMessage(answer);
});
