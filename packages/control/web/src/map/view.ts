/** What the drawing is told: the things, what of them is marked, and where one looks from. */
import type { MeshGraph } from './graph.ts';
import type { Frame } from './plan.ts';

export interface Shown {
  readonly graph: MeshGraph;
  readonly frame: Frame;
  readonly lit: ReadonlySet<string> | undefined;
  /** Key of what the keyboard is at, and of what is chosen. */
  readonly focused: string | undefined;
  readonly selected: string | undefined;
}

export interface View {
  readonly x: number;
  readonly y: number;
  readonly k: number;
}
